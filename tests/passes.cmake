gradc_test(passes_test LIBS gradc_compiler gradc_contract_cases gradc_test_support SOURCES
  unit/accumulate_test.cpp
  unit/autodiff_test.cpp
  unit/bands_test.cpp
  unit/batch_mixing_test.cpp
  unit/drop_empty_test.cpp
  unit/expand_test.cpp
  unit/far_taps_test.cpp
  unit/fuse_test.cpp
  unit/health_test.cpp
  unit/index_ranges_test.cpp
  unit/kernel_check_test.cpp
  unit/layout_test.cpp
  unit/optimizer_test.cpp
  unit/pack_test.cpp
  unit/pipeline_test.cpp
  unit/precision_test.cpp
  unit/raise_test.cpp
  unit/prepack_test.cpp
  unit/random_passes_test.cpp
  unit/recipes_test.cpp
  unit/schedule_test.cpp
  unit/simplify_test.cpp
  unit/sink_test.cpp
  unit/subpixel_test.cpp
  unit/unroll_test.cpp
  unit/winograd_test.cpp)
# Whole models, from text to fused ops.
gradc_test(references_test LIBS gradc_import gradc_compiler gradc_io SOURCES
  unit/arena_test.cpp
  unit/dump_test.cpp
  unit/references_test.cpp)
