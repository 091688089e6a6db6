gradc_test(lower_test LIBS gradc_lower SOURCES
  unit/lower_map_test.cpp)
