gradc_test(plan_test LIBS gradc_plan SOURCES
  unit/plan_storage_test.cpp)
