add_library(gradc_contract_cases STATIC support/contract_cases.cpp)
target_link_libraries(gradc_contract_cases PUBLIC gradc_lower PRIVATE gradc_warnings)
add_library(gradc_attention_cases STATIC support/attention_cases.cpp)
target_link_libraries(gradc_attention_cases PUBLIC gradc_test_support PRIVATE gradc_warnings)

gradc_test(lower_test LIBS gradc_lower gradc_contract_cases gradc_attention_cases gradc_test_support SOURCES
  support/run_loops.cpp
  unit/element_rules_test.cpp
  unit/lower_attention_test.cpp
  unit/lower_contract_test.cpp
  unit/lower_map_test.cpp)
