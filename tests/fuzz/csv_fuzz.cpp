// Tables of numbers as text.
#include "ir/diagnostic.h"
#include "tools/io/csv.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    gradc::CsvTable table =
        gradc::parse_csv({reinterpret_cast<const char*>(data), size}, "fuzz.csv");
    GRADC_CHECK(table.cells.size() == static_cast<size_t>(table.rows * table.columns));
    GRADC_CHECK(table.names.empty() || table.names.size() == static_cast<size_t>(table.columns));
  } catch (const gradc::UserError&) {
  }
  return 0;
}
