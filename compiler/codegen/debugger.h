#pragma once
// Code in memory as perf and gdb see it. An object file needs nothing of this: it is a file.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gradc::codegen {

struct LoadedFunction {
  uint64_t address = 0, bytes = 0;
  std::string name;
};

// Appends the functions to /tmp/perf-PID.map, where perf looks for the names of code without a
// file.
void write_perf_map(const std::vector<LoadedFunction>& functions);

// Tells gdb of an object whose sections have their addresses in memory, until its end (gdb's
// manual, "JIT Compilation Interface").
class DebuggerObject {
 public:
  explicit DebuggerObject(std::string object);
  ~DebuggerObject();
  DebuggerObject(const DebuggerObject&) = delete;
  DebuggerObject& operator=(const DebuggerObject&) = delete;

 private:
  struct Entry;
  std::unique_ptr<Entry> entry_;
};

}  // namespace gradc::codegen
