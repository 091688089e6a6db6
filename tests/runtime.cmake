gradc_test(runtime_test LIBS gradc_runtime SOURCES
  support/toy_module.cpp
  unit/checkpoint_test.cpp
  unit/cpu_test.cpp
  unit/file_test.cpp
  unit/guarded_test.cpp
  unit/instance_test.cpp
  unit/model_header_test.cpp
  unit/pool_test.cpp
  unit/safetensors_test.cpp)
# Sanitizers bring a malloc of their own.
if(NOT GRADC_SANITIZE)
  gradc_test(no_malloc_test LIBS gradc_runtime SOURCES
    support/allocation_count.cpp
    support/toy_module.cpp
    unit/no_malloc_test.cpp)
endif()
