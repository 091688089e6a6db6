gradc_test(plan_test LIBS gradc_plan SOURCES
  support/exact_plan.cpp
  support/planning_entries.cpp
  support/random_problems.cpp
  unit/plan_bound_test.cpp
  unit/plan_chain_test.cpp
  unit/plan_checker_test.cpp
  unit/plan_floor_test.cpp
  unit/plan_offsets_test.cpp
  unit/plan_prices_test.cpp
  unit/plan_recompute_test.cpp
  unit/plan_report_test.cpp
  unit/plan_schedule_test.cpp
  unit/plan_scratch_limits_test.cpp
  unit/plan_storage_test.cpp
  unit/plan_test.cpp
  unit/plan_timeline_test.cpp
  unit/plan_wishes_test.cpp)
