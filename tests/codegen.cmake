add_library(gradc_native_test_support STATIC support/native.cpp support/native_check.cpp)
target_link_libraries(gradc_native_test_support
  PUBLIC gradc_codegen gradc_passes gradc_runtime gradc_test_support Catch2::Catch2
  PRIVATE gradc_warnings)

gradc_test(codegen_test LIBS gradc_import gradc_native_test_support gradc_contract_cases gradc_attention_cases
  SOURCES
  unit/code_cache_test.cpp
  unit/composed_functions_test.cpp
  unit/idle_lanes_test.cpp
  unit/merge_objects_test.cpp
  unit/native_attention_test.cpp
  support/native_contract.cpp
  unit/native_contract_test.cpp
  unit/native_index_test.cpp
  unit/native_kernels_test.cpp
  unit/native_moves_test.cpp
  unit/native_ops_test.cpp
  unit/native_types_test.cpp
  unit/native_winograd_test.cpp
  unit/object_test.cpp
  unit/vector_math_test.cpp)

# Whole models as machine code.
add_library(gradc_compiled_model STATIC support/compiled_model.cpp)
target_link_libraries(gradc_compiled_model
  PUBLIC gradc_codegen gradc_compiler gradc_runtime Catch2::Catch2
  PRIVATE gradc_warnings)
gradc_test(whole_step_test LIBS gradc_compiled_model SOURCES
  unit/whole_step_test.cpp)
# Sanitizers bring a malloc of their own.
if(NOT GRADC_SANITIZE)
  gradc_test(no_malloc_step_test LIBS gradc_compiled_model SOURCES
    support/allocation_count.cpp
    unit/no_malloc_step_test.cpp)
endif()
