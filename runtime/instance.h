#pragma once
// What an instance is made of, for the runtime's own files.
#include "runtime/gradc_runtime.h"

struct gradc_instance {
  const gradc_module* module = nullptr;
  gradc_context context = {};
  bool owns_state = false, owns_arena = false;
  // Where loops run: on `pool` (null: on the caller alone), unless the program brought its own.
  gradc_pool* pool = nullptr;
  gradc_parallel_for foreign = nullptr;
  void* foreign_pool = nullptr;
};
