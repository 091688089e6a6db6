gradc_test(io_test LIBS gradc_io ZLIB::ZLIB SOURCES
  unit/elements_test.cpp
  unit/idx_test.cpp
  unit/npz_test.cpp)
