#pragma once
// What `gradc bench --tune` measured, by CPU: a JSON file that later compilations read.
#include <map>
#include <string>
#include <vector>

#include "compiler/target.h"

namespace gradc {

struct TunedKernel {
  std::string key;  // tuning_key of compiler/lower/contract_choices.h
  std::string what;  // for people: what it computes
  std::string choice;  // the name of a contract choice
  double gain = 1;  // how many times as fast as without
};

struct TuningFile {
  std::map<std::string, std::vector<TunedKernel>> cpus;
};

// A CPU as the file names it: kernels are measured for its instructions and caches.
std::string tuning_cpu(const Target& target);

// What is no such file is an error at its path; so is one that is not there, unless `may_lack`.
TuningFile read_tuning(const std::string& path, bool may_lack);
std::string tuning_text(const TuningFile& file);

// $XDG_DATA_HOME/gradc/tuning.json or ~/.local/share/gradc/tuning.json; "" where neither variable
// is set.
std::string default_tuning_file();

}  // namespace gradc
