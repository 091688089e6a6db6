add_library(gradc_native_test_support STATIC support/native.cpp)
target_link_libraries(gradc_native_test_support
  PUBLIC gradc_codegen gradc_passes gradc_runtime gradc_test_support Catch2::Catch2
  PRIVATE gradc_warnings)

gradc_test(codegen_test LIBS gradc_native_test_support gradc_contract_cases SOURCES
  unit/native_contract_test.cpp
  unit/native_kernels_test.cpp
  unit/native_ops_test.cpp
  unit/native_types_test.cpp
  unit/object_test.cpp
  unit/vector_math_test.cpp)
