gradc_test(io_test LIBS gradc_io ZLIB::ZLIB SOURCES
  unit/csv_test.cpp
  unit/dataset_test.cpp
  unit/elements_test.cpp
  unit/event_file_test.cpp
  unit/idx_test.cpp
  unit/npz_test.cpp
  unit/sampler_test.cpp)
