gradc_test(import_test LIBS gradc_import SOURCES
  unit/model_text_test.cpp)
