gradc_test(import_test LIBS gradc_import SOURCES
  unit/model_errors_test.cpp
  unit/model_examples_test.cpp
  unit/model_text_test.cpp
  unit/nn_model_test.cpp)
