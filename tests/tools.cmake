gradc_test(health_report_test LIBS gradc_health SOURCES
  unit/health_report_test.cpp)
gradc_test(report_test LIBS gradc_report SOURCES
  support/contrast.cpp
  unit/report_data_test.cpp
  unit/report_layers_test.cpp
  unit/report_page_test.cpp
  unit/report_stages_test.cpp
  unit/report_text_test.cpp
  unit/report_value_tracker_test.cpp)

gradc_test(plan_files_test LIBS gradc_plan_files SOURCES
  support/contrast.cpp
  unit/plan_curve_test.cpp)

gradc_test(profile_test LIBS gradc_compiled_model gradc_profile SOURCES
  unit/profile_test.cpp)

gradc_test(verify_test LIBS gradc_verify SOURCES
  unit/difference_test.cpp
  unit/test_cases_test.cpp)

gradc_test(compiled_test LIBS gradc_codegen gradc_compiled SOURCES
  unit/compiled_test.cpp)

gradc_test(headers_test LIBS gradc_headers gradc_ir SOURCES
  unit/headers_test.cpp)

add_test(NAME "reports in a browser"
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/report.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})

# The command line as a user calls it.
add_test(NAME "bad inputs" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/bad_inputs.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "bad ONNX inputs" COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/e2e/onnx_bad_inputs.py $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "classes of a fed target" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/feed.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "measured schedules" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/tune.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "bench on request" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/bench.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "test folders" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/verify.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "checks of models" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/check.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "ONNX node tests"
  COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/e2e/onnx_node_tests.py $<TARGET_FILE:gradc>
          ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/onnx-node-tests)
add_test(NAME "light models of ONNX"
  COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/e2e/onnx_light_models.py $<TARGET_FILE:gradc>
          ${PROJECT_BINARY_DIR}/onnx-node-tests)
# Both make the Python environment that is not there yet.
set_tests_properties("ONNX node tests" "light models of ONNX" PROPERTIES RESOURCE_LOCK onnx-package)
foreach(model lstm unet)
  add_test(NAME "gradients and losses of ${model}.onnx"
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/onnx_references.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR} ${model})
endforeach()
add_test(NAME "bits of mlp: threads, budget, resume"
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/bits.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR}/examples/mlp.model 2MiB 6)
add_test(NAME "bits of lenet: threads, budget, resume"
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/bits.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR}/examples/lenet.model 34MiB 4)
add_test(NAME "health of training" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/health.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "inverses in training" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/invert.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "same bits within any budget" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/budget_bits.sh $<TARGET_FILE:gradc>)
add_test(NAME "micro-batches" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/micro_batch.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "accumulated gradients" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/accumulate.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "trained ONNX models" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/onnx_export.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "cache of compiled kernels" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/cache.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "perf and gdb" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/debug.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "profiles" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/profile.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "curves of budgets" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/plan.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "smallest budgets" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/smallest_budget.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "plans of graphs, packed lifetimes" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/plan_graph.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "manual and completions" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/completion.sh $<TARGET_FILE:gradc>)
add_test(NAME "gradients by name" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/grad.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
add_test(NAME "flags of passes" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/passes.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
# From every stage through the command line; that all models go on to the same plan is held by dump_test.cpp.
function(gradc_test_stages model data)
  add_test(NAME "stages of ${model}"
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/stages.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR}/examples/${model}.model
            ${data} ${ARGN})
endfunction()
gradc_test_stages(deep_mlp fashion-mnist batch=4 layers=3 width=784)
gradc_test_stages(gpt text batch=2 layers=1 context=16 width=32)
gradc_test_stages(lstm fashion-mnist batch=4 hidden=32)
gradc_test_stages(mlp fashion-mnist batch=4 hidden=64)
gradc_test_stages(resnet20 fashion-mnist batch=4 blocks=1)
# A program for compiled models; object_bits.sh links it with their objects.
add_library(object_bits STATIC e2e/object_bits.cpp)
target_link_libraries(object_bits PUBLIC gradc_io PRIVATE gradc_warnings)
add_test(NAME "objects for other processors" COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/targets.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR})
# Sanitizers come with libraries of their own.
if(NOT GRADC_SANITIZE)
  add_test(NAME "programs built against the installed package"
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/package.sh ${CMAKE_BINARY_DIR} ${PROJECT_SOURCE_DIR})
  add_test(NAME "embedded training program"
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/embed.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR} $<TARGET_FILE:gradc_runtime>)
  add_test(NAME "resident memory within budgets"
    COMMAND python3 ${PROJECT_SOURCE_DIR}/bench/resident.py $<TARGET_FILE:gradc> $<TARGET_FILE:gradc_runtime>
            resnet20:16 unet:4)
  # resnet20's batch is large enough that recomputing pays, the others' just long enough to compute something.
  foreach(model_batch resnet20:16 gpt:2 lstm:8)
    string(REPLACE ":" ";" model_batch ${model_batch})
    list(GET model_batch 0 model)
    list(GET model_batch 1 batch)
    add_test(NAME "bits of ${model}: JIT and object, threads, budget"
      COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/object_bits.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR}/examples/${model}.model
              20 ${batch} $<TARGET_FILE:object_bits>
              "$<TARGET_FILE:gradc_io> $<TARGET_FILE:gradc_ir> $<TARGET_FILE:gradc_runtime>")
  endforeach()
  add_test(NAME "bits of lenet with accumulation and health: JIT and object, threads, budget"
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/object_bits.sh $<TARGET_FILE:gradc> ${PROJECT_SOURCE_DIR}/examples/lenet.model
            4 8 $<TARGET_FILE:object_bits>
            "$<TARGET_FILE:gradc_io> $<TARGET_FILE:gradc_ir> $<TARGET_FILE:gradc_runtime>"
            --accumulate 3 --health --optimizer rmsprop --lr 1e-3 --centered --clip-norm 1)
endif()
