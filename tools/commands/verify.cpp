// gradc verify: runs models on recorded inputs and compares with recorded outputs.
#include <fmt/format.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "ir/diagnostic.h"
#include "tools/commands/commands.h"
#include "tools/progress.h"
#include "tools/verify/run_case.h"

namespace gradc {
namespace {

struct VerifyFlags {
  VerifySettings settings;
  std::vector<std::string> folders;
  double seconds = 0;
};

using Results = std::vector<CaseResult>;

std::array<int64_t, kOutcomeCount> counts_of(const Results& results) {
  std::array<int64_t, kOutcomeCount> counts{};
  for (const CaseResult& result : results)
    ++counts[static_cast<size_t>(result.outcome)];
  return counts;
}

int64_t count(const Results& results, Outcome outcome) {
  return counts_of(results)[static_cast<size_t>(outcome)];
}

// Each case on one thread, as many at once as there are threads.
Results run_cases(const std::vector<TestCase>& cases, const VerifySettings& settings) {
  VerifySettings each = settings;
  each.model.options.threads = 1;
  each.model.options.warn = nullptr;
  Results results(cases.size());
  Progress progress("verify", static_cast<int64_t>(cases.size()), settings.model.json);
  std::atomic<size_t> next = 0;
  std::mutex progress_lock;
  int64_t done = 0, failed = 0;
  auto work = [&] {
    for (size_t i = next++; i < cases.size(); i = next++) {
      results[i] = run_case(cases[i], each);
      std::lock_guard hold(progress_lock);
      failed += results[i].outcome == Outcome::failed;
      progress.update(++done, fmt::format("{} failed", failed));
    }
  };
  std::vector<std::jthread> others;
  for (int i = 1; i < settings.model.options.threads && static_cast<size_t>(i) < cases.size(); ++i)
    others.emplace_back(work);
  work();
  others.clear();
  progress.finish(fmt::format("{} failed", failed));
  return results;
}

std::string shown(const OutputResult& output) {
  const Difference& d = output.difference;
  return fmt::format("{} {} max abs {:.3g} rel {:.3g} ulp {}", output.name, to_string(output.type),
                     d.absolute, d.relative, d.ulp);
}

void print_text(const std::vector<TestCase>& cases, const Results& results, double seconds) {
  for (size_t i = 0; i < cases.size(); ++i) {
    const CaseResult& result = results[i];
    std::vector<std::string> parts;
    for (const OutputResult& output : result.outputs)
      parts.push_back(shown(output));
    if (!result.reason.empty())
      parts.push_back(is_skipped(result.outcome)
                          ? fmt::format("{}: {}", name_of(result.outcome), result.reason)
                          : result.reason);
    std::string_view word = result.outcome == Outcome::passed   ? "ok"
                            : result.outcome == Outcome::failed ? "FAILED"
                                                                : "skipped";
    fmt::print("{:8}{}: {}\n", word, cases[i].name, fmt::join(parts, "; "));
  }
  std::array<int64_t, kOutcomeCount> counts = counts_of(results);
  int64_t skipped = 0;
  std::string reasons;
  for (size_t i = 0; i < kOutcomeCount; ++i)
    if (is_skipped(static_cast<Outcome>(i)) && counts[i] > 0) {
      skipped += counts[i];
      reasons += fmt::format("{}{} {}", reasons.empty() ? " (" : ", ",
                             name_of(static_cast<Outcome>(i)), counts[i]);
    }
  fmt::print("{} case{}: {} passed, {} failed, {} skipped{}, in {:.1f} s\n", cases.size(),
             cases.size() == 1 ? "" : "s", count(results, Outcome::passed),
             count(results, Outcome::failed), skipped, reasons.empty() ? "" : reasons + ")",
             seconds);
}

nlohmann::ordered_json to_json(const TestCase& test, const CaseResult& result) {
  nlohmann::ordered_json json;
  json["name"] = test.name;
  json["model"] = test.model;
  json["outcome"] = name_of(result.outcome);
  json["reason"] = result.reason;
  json["knows_inputs"] = result.knows_inputs;
  json["seconds"] = result.seconds;
  json["outputs"] = nlohmann::ordered_json::array();
  for (const OutputResult& output : result.outputs)
    json["outputs"].push_back({{"name", output.name},
                               {"type", to_string(output.type)},
                               {"wrong", output.difference.wrong},
                               {"max_absolute", output.difference.absolute},
                               {"max_relative", output.difference.relative},
                               {"max_ulp", output.difference.ulp}});
  return json;
}

void print_json(const std::vector<TestCase>& cases, const Results& results, double seconds) {
  nlohmann::ordered_json json;
  std::array<int64_t, kOutcomeCount> counts = counts_of(results);
  json["seconds"] = seconds;
  for (size_t i = 0; i < kOutcomeCount; ++i)
    json["counts"][std::string(name_of(static_cast<Outcome>(i)))] = counts[i];
  json["cases"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < cases.size(); ++i)
    json["cases"].push_back(to_json(cases[i], results[i]));
  // Names come from files and may be anything.
  fmt::print("{}\n", json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

// For messages: one of many folders names them all.
std::string place(const std::vector<std::string>& folders) {
  return folders.size() == 1 ? folders[0]
                             : fmt::format("{} and {} more", folders[0], folders.size() - 1);
}

void verify_folders(VerifyFlags& flags) {
  finish(flags.settings.model);
  std::vector<TestCase> cases = find_test_cases(flags.folders);
  auto begin = std::chrono::steady_clock::now();
  Results results = run_cases(cases, flags.settings);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (flags.settings.model.json)
    print_json(cases, results, seconds);
  else
    print_text(cases, results, seconds);
  std::fflush(stdout);
  if (int64_t failed = count(results, Outcome::failed); failed > 0)
    throw UserError(place(flags.folders),
                    fmt::format("{} of {} cases failed", failed, cases.size()));
  if (count(results, Outcome::passed) == 0)
    throw UserError(place(flags.folders), "no case could run");
}

}  // namespace

void add_verify(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "verify", "Run ONNX models on recorded inputs and compare with the recorded outputs");
  auto flags = std::make_shared<VerifyFlags>();
  command
      ->add_option("folders", flags->folders,
                   "Folders with model.onnx and test_data_set_0/input_0.pb, output_0.pb, ..., or "
                   "that hold such folders")
      ->required()
      ->type_name("FILE");
  ModelFlags& model = flags->settings.model;
  Tolerance& tolerance = flags->settings.tolerance;
  command->add_option("--rtol", tolerance.relative, "Allowed error relative to the wanted value")
      ->check(finite_number())
      ->capture_default_str();
  command->add_option("--atol", tolerance.absolute, "Allowed absolute error, added to that")
      ->check(finite_number())
      ->capture_default_str();
  command->add_flag("--evaluator", flags->settings.evaluator,
                    "Evaluate in double, op by op, instead of compiling");
  command->add_option("--seed", model.seed, "Seed of dropout")->check(whole_number(0));
  command->add_option("--threads", model.threads,
                      "How many cases run at once (default: all cores)");
  command->add_option("--cpu", model.options.cpu,
                      "CPU to compile for: native, x86-64-v2, x86-64-v3, x86-64-v4, znver4, ...");
  command->add_flag("--json", model.json, "Print one JSON object and nothing else");
  command->callback([flags] { verify_folders(*flags); });
}

}  // namespace gradc
