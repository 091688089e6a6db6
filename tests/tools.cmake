# The command line as a user calls it.
add_test(NAME "bad inputs" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/bad_inputs.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "bits of mlp: threads, budget, resume"
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/bits.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR}/examples/mlp.model 2MiB 6)
add_test(NAME "bits of lenet: threads, budget, resume"
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/bits.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR}/examples/lenet.model 34MiB 4)
# Sanitizers come with libraries of their own.
if(NOT GRADC_SANITIZE)
  add_test(NAME "embedded training program"
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/embed.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR} $<TARGET_FILE:gradc_runtime>)
endif()
