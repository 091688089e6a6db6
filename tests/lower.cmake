gradc_test(lower_test LIBS gradc_lower SOURCES
  support/contract_cases.cpp
  support/run_loops.cpp
  unit/lower_contract_test.cpp
  unit/lower_map_test.cpp)
