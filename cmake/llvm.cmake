# The target gradc_llvm: LLVM 19 with the X86 and AArch64 back ends. Only compiler/codegen links it.
find_package(LLVM 19.1 REQUIRED CONFIG HINTS /usr/lib/llvm-19/lib/cmake/llvm)
add_library(gradc_llvm INTERFACE)
target_include_directories(gradc_llvm SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
separate_arguments(gradc_llvm_definitions NATIVE_COMMAND ${LLVM_DEFINITIONS})
target_compile_definitions(gradc_llvm INTERFACE ${gradc_llvm_definitions})
if(GRADC_LLVM_SHARED)
  target_link_libraries(gradc_llvm INTERFACE LLVM)
else()
  llvm_map_components_to_libnames(gradc_llvm_libs
    core orcjit passes support targetparser X86 AArch64)
  target_link_libraries(gradc_llvm INTERFACE ${gradc_llvm_libs})
endif()
