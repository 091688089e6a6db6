#pragma once
// What an instance is made of, for the runtime's own files.
#include "runtime/gradc_runtime.h"

struct gradc_instance {
  const gradc_module* module = nullptr;
  gradc_context context = {};
  bool owns_state = false, owns_arena = false;
  const gradc_entry* prepare = nullptr;  // null: nothing is derived from the state
  bool prepared = false;  // it has run since the state changed
  uint64_t prepared_hash = 0;  // of what it read, in builds with assertions
  // Where loops run: on `pool` (null: on the caller alone), unless the program brought its own.
  gradc_pool* pool = nullptr;
  gradc_parallel_for foreign = nullptr;
  void* foreign_pool = nullptr;
};
