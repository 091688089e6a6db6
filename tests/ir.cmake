gradc_test(ir_test LIBS gradc_ir SOURCES
  unit/contraction_test.cpp
  unit/convolution_test.cpp
  unit/diagnostic_test.cpp
  unit/loop_text_test.cpp
  unit/text_test.cpp)
