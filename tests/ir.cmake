gradc_test(ir_test LIBS gradc_ir SOURCES
  unit/diagnostic_test.cpp
  unit/text_test.cpp)
