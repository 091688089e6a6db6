# cmake --install: gradc with its manual and completions (component `compiler`), and what programs with compiled models
# need (component `runtime`). Any prefix will do, also another one later: all paths are relative.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/gradc)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(TARGETS gradc_runtime EXPORT gradcRuntimeTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime)
install(FILES runtime/gradc_runtime.h runtime/gradc_model.hpp
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/gradc COMPONENT runtime)
install(EXPORT gradcRuntimeTargets NAMESPACE gradc:: DESTINATION ${package_dir} COMPONENT runtime)
install(TARGETS gradc EXPORT gradcCompilerTargets RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT compiler)
install(EXPORT gradcCompilerTargets NAMESPACE gradc:: DESTINATION ${package_dir} COMPONENT compiler)

configure_package_config_file(cmake/package/gradcConfig.cmake.in ${CMAKE_BINARY_DIR}/package/gradcConfig.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/gradcConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${CMAKE_BINARY_DIR}/package/gradcConfig.cmake
  ${CMAKE_BINARY_DIR}/package/gradcConfigVersion.cmake
  cmake/package/gradcAddModel.cmake
  DESTINATION ${package_dir} COMPONENT runtime)

file(RELATIVE_PATH GRADC_PC_TO_PREFIX /prefix/${pkgconfig_dir} /prefix)
configure_file(cmake/package/gradc-runtime.pc.in ${CMAKE_BINARY_DIR}/package/gradc-runtime.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/package/gradc-runtime.pc DESTINATION ${pkgconfig_dir} COMPONENT runtime)

# The manual and the completions are written by gradc itself, once it is linked.
install(DIRECTORY ${CMAKE_BINARY_DIR}/package/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT compiler
  FILES_MATCHING PATTERN "*.1")
install(FILES ${CMAKE_BINARY_DIR}/package/gradc.bash RENAME gradc
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT compiler)
install(FILES ${CMAKE_BINARY_DIR}/package/_gradc
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions COMPONENT compiler)
install(FILES ${CMAKE_BINARY_DIR}/package/gradc.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT compiler)

install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT compiler)
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT compiler
  PATTERN lstm.onnx EXCLUDE)  # a link
install(FILES tests/data/onnx/references/lstm.onnx
  DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples/embed_onnx COMPONENT compiler)

# cpack -G DEB: the packages gradc and gradc-runtime.
set(CPACK_PACKAGE_NAME gradc)
set(CPACK_PACKAGE_VENDOR gradc)
set(CPACK_PACKAGE_CONTACT "the authors of gradc <gradc@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "compiles the training step of a neural network")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL compiler runtime)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_COMPILER_PACKAGE_NAME gradc)
set(CPACK_DEBIAN_COMPILER_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_COMPILER_PACKAGE_DEPENDS "gradc-runtime (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME gradc-runtime)
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION "runtime for networks that gradc compiled to object files")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
include(CPack)
