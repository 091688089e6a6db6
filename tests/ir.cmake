gradc_test(ir_test LIBS gradc_ir gradc_test_support SOURCES
  unit/builder_test.cpp
  unit/composite_test.cpp
  unit/contraction_test.cpp
  unit/convolution_test.cpp
  unit/diagnostic_test.cpp
  unit/loop_text_test.cpp
  unit/magnitude_test.cpp
  unit/ops_markdown_test.cpp
  unit/ops_test.cpp
  unit/random_module_test.cpp
  unit/text_test.cpp)
