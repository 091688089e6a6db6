gradc_test(plan_test LIBS gradc_plan SOURCES
  unit/plan_checker_test.cpp
  unit/plan_storage_test.cpp)
