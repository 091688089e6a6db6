#include "tools/commands/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "compiler/entries.h"
#include "compiler/passes/inverse_errors.h"
#include "ir/diagnostic.h"
#include "runtime/safetensors.h"
#include "tools/accuracy.h"
#include "tools/commands/output.h"
#include "tools/diagnose.h"
#include "tools/health_report.h"
#include "tools/io/npz.h"
#include "tools/io/sampler.h"
#include "tools/metrics.h"
#include "tools/progress.h"
#include "tools/session.h"
#include "tools/weights.h"

namespace gradc {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;  // the only thing a signal handler may touch

// Turns the first Ctrl-C into a request to stop after the step; the second one kills.
class InterruptGuard {
 public:
  InterruptGuard()
      : before_(std::signal(SIGINT, [](int) {
          g_interrupted = 1;
          std::signal(SIGINT, SIG_DFL);
        })) {}
  ~InterruptGuard() { std::signal(SIGINT, before_); }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  void (*before_)(int);
};

// The inputs of an entry that data are for.
std::vector<SampleInput> sample_inputs(const gradc_entry& entry) {
  std::vector<SampleInput> inputs;
  for (uint32_t i = 0; i < entry.input_count; ++i) {
    Type type = type_of(entry.inputs[i]);
    if (is_control_input(entry.inputs[i].name))
      continue;
    if (type.rank() == 0)
      fail("input `{}` has no batch axis, so a data set cannot feed it", entry.inputs[i].name);
    type.dims.erase(type.dims.begin());
    inputs.push_back({entry.inputs[i].name, type});
  }
  return inputs;
}

class Trainer {
 public:
  explicit Trainer(TrainFlags& flags)
      : flags_(flags),
        feed_(flags.feed.empty() ? std::vector<NamedArray>() : read_feed(flags.model, flags.feed)),
        session_(flags.model),
        step_call_(session_, kTrainStep),
        metrics_(flags.metrics, !flags.resume.empty()),
        health_(
            session_, step_call_, metrics_,
            {flags.model.options.health, flags.health_every, flags.tensorboard, flags.model.json}),
        state_before_(session_.abi().state_bytes) {
    if (!step_call_.has_output(kLoss))
      fail("model `{}` has no result named `loss`", session_.imported().name);
    seed_ = flags.model.seed;
    cursor_.seed = static_cast<uint64_t>(seed_);
    if (writes_onnx(flags))
      check_onnx_holds_trained(session_.planned(), flags.model.model);
    if (!flags.resume.empty())
      resume();
    if (flags.feed.empty())
      open_data();
    else
      step_call_.feed(feed_, flags.feed);
    find_accuracy();
    decide_length();
  }

  void run() {
    for (const std::string& path : {flags_.save, flags_.output})
      check_can_write(path);
    InterruptGuard guard;
    announce();
    while (step_ < total_steps_ && !g_interrupted) {
      if (sampler_)
        train_epoch();
      else
        train_steps(total_steps_);
    }
    if (g_interrupted)
      fmt::print(stderr, "interrupted after step {}\n", step_);
    if (!flags_.save.empty())
      save();
    if (!flags_.output.empty())
      write_model();
    report_inverses();
    report_json();
  }

 private:
  void open_data() {
    inputs_ = sample_inputs(step_call_.entry());
    if (inputs_.empty())
      fail("the model takes no data");
    batch_ = step_call_.input_type(inputs_[0].name).dims[0];
    for (const SampleInput& input : inputs_)
      if (step_call_.input_type(input.name).dims[0] != batch_)
        fail("inputs `{}` and `{}` have batches of {} and {}; a data set feeds one size",
             inputs_[0].name, input.name, batch_, step_call_.input_type(input.name).dims[0]);
    data_ = open_dataset(flags_.data, inputs_, flags_.dataset);
    sampler_ = std::make_unique<Sampler>(data_.train.count, batch_, cursor_);
  }

  // The output that holds class scores for the last input, if there is one.
  void find_accuracy() {
    std::string label;
    for (uint32_t i = 0; i < step_call_.entry().input_count; ++i)
      if (!is_control_input(step_call_.entry().inputs[i].name))
        label = step_call_.entry().inputs[i].name;
    for (uint32_t i = 0; i < step_call_.entry().output_count && !label.empty(); ++i) {
      const gradc_tensor& output = step_call_.entry().outputs[i];
      class_axis_ = class_axis(type_of(output), step_call_.input_type(label));
      scores_ = output.name;
      label_ = label;
      if (class_axis_)
        return;
    }
  }

  void decide_length() {
    if (flags_.steps > 0) {
      total_steps_ = step_ + flags_.steps;
      return;
    }
    GRADC_CHECK(sampler_ != nullptr);
    int64_t most_epochs = INT64_MAX / sampler_->batches_per_epoch();
    total_steps_ =
        std::clamp<int64_t>(flags_.epochs, 1, most_epochs) * sampler_->batches_per_epoch();
  }

  void announce() const {
    if (flags_.model.json)
      return;
    fmt::print(stderr, "{}: {} parameters, arena {}, {} thread{}, compiled in {:.0f} ms\n",
               session_.imported().name, parameter_count(),
               human_bytes(static_cast<int64_t>(step_call_.entry().arena_bytes)),
               session_.threads(), session_.threads() == 1 ? "" : "s",
               session_.compile_milliseconds());
  }

  int64_t parameter_count() const {
    int64_t count = 0;
    for (const StateTensor& state : session_.imported().states)
      count += state.role == Role::parameter ? state.type.elements() : 0;
    return count;
  }

  void train_epoch() {
    int64_t epoch_steps = sampler_->batches_per_epoch();
    int64_t epoch_end = step_ + epoch_steps - sampler_->cursor().batch;
    int64_t epoch = sampler_->cursor().epoch + 1;
    train_steps(std::min(epoch_end, total_steps_));
    if (step_ != epoch_end || g_interrupted || flags_.steps > 0)
      return;
    if (std::optional<double> accuracy = test_accuracy()) {
      metrics_.epoch(epoch, *accuracy);
      health_.epoch(step_, *accuracy);
      last_test_accuracy_ = accuracy;
      if (!flags_.model.json)
        fmt::print("epoch {}: test accuracy {:.2f} %\n", epoch, 100 * *accuracy);
    }
  }

  void train_steps(int64_t end) {
    std::string title = sampler_ && flags_.steps == 0
                            ? fmt::format("epoch {}", sampler_->cursor().epoch + 1)
                            : "step";
    int64_t begin = step_;
    Progress progress(title, end - begin, flags_.model.json);
    auto started = std::chrono::steady_clock::now();
    double loss_sum = 0;
    correct_ = seen_ = 0;
    std::string details;
    while (step_ < end && !g_interrupted) {
      float loss = one_step();
      if (health_.due(step_ - 1, step_ == total_steps_)) {
        progress.clear();
        health_.report(step_ - 1, loss);
      }
      loss_sum += loss;
      double seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
      auto done = static_cast<double>(step_ - begin);
      details =
          fmt::format("loss {:.4f}{} {:.0f} samples/s arena {}", loss_sum / done,
                      seen_ ? fmt::format(" acc {:.1f} %", 100.0 * static_cast<double>(correct_) /
                                                               static_cast<double>(seen_))
                            : "",
                      done * static_cast<double>(batch_size()) / seconds,
                      human_bytes(static_cast<int64_t>(step_call_.entry().arena_bytes)));
      progress.update(step_ - begin, details);
    }
    if (step_ == end && end > begin)
      progress.finish(details);
  }

  int64_t batch_size() const {
    if (batch_ > 0)
      return batch_;
    for (uint32_t i = 0; i < step_call_.entry().input_count; ++i)
      if (step_call_.entry().inputs[i].rank > 0)
        return step_call_.entry().inputs[i].dims[0];
    return 1;
  }

  float one_step() {
    if (sampler_) {
      std::span<const int64_t> samples = sampler_->next();
      for (size_t i = 0; i < inputs_.size(); ++i)
        data_.train.fields[i].copy(samples, step_call_.input_type(inputs_[i].name).dtype,
                                   step_call_.input(inputs_[i].name));
      step_call_.check_indices(flags_.data);
    }
    step_call_.set_scalar(kLearningRate, learning_rate(flags_.model));
    step_call_.set_scalar(kStep, static_cast<double>(step_));
    step_call_.set_scalar(kTotalSteps, static_cast<double>(total_steps_));
    step_call_.set_scalar(kSeed, static_cast<double>(seed_));
    // For a diagnosis, should the loss not be a number: a copy costs little beside a step.
    std::copy(session_.state_bytes().begin(), session_.state_bytes().end(), state_before_.begin());
    step_call_.run();
    float loss = step_call_.scalar_output(kLoss);
    metrics_.step(step_, loss);
    health_.step(step_, loss);
    if (!std::isfinite(loss))
      throw UserError(
          "",
          fmt::format("the loss of step {} is {}\nnote: {}{}", step_, loss, health_.not_finite(),
                      first_bad_layer(session_, flags_.model, state_before_, step_call_)))
          .with_help("try a smaller --lr, --clip-norm 1, or --warmup");
    ++step_;
    if (flags_.model.verify_invert)
      for (const auto& [name, error] : step_call_.scalar_outputs(kInverseErrorPrefix))
        inverse_errors_[name] = std::isnan(error) ? error : std::max(inverse_errors_[name], error);
    if (class_axis_) {
      int64_t positions = class_axis_->outer * class_axis_->inner;
      correct_ += count_correct(*class_axis_, step_call_.output(scores_), step_call_.input(label_),
                                step_call_.input_type(label_).dtype, positions);
      seen_ += positions;
    }
    return loss;
  }

  // Over the test split by `infer`; the last batch is filled up with samples that do not count.
  std::optional<double> test_accuracy() {
    if (data_.test.count == 0 || !class_axis_ ||
        !gradc_find_entry(&session_.abi(), std::string(kInfer).c_str()))
      return std::nullopt;
    EntryCall infer(session_, kInfer);
    if (!infer.has_output(scores_))
      return std::nullopt;
    size_t label = 0;
    for (size_t i = 0; i < inputs_.size(); ++i)
      if (inputs_[i].name == label_)
        label = i;
    DType label_type = step_call_.input_type(label_).dtype;
    std::vector<std::byte> labels(step_call_.input(label_).size());
    int64_t correct = 0, seen = 0;
    int64_t batch = batch_ / flags_.model.options.accumulate;
    labels.resize(labels.size() / static_cast<size_t>(flags_.model.options.accumulate));
    for (int64_t begin = 0; begin < data_.test.count && !g_interrupted; begin += batch) {
      std::vector<int64_t> samples;
      for (int64_t i = 0; i < batch; ++i)
        samples.push_back(std::min(begin + i, data_.test.count - 1));
      for (size_t i = 0; i < inputs_.size(); ++i)
        if (infer.has_input(inputs_[i].name))
          data_.test.fields[i].copy(samples, infer.input_type(inputs_[i].name).dtype,
                                    infer.input(inputs_[i].name));
      infer.check_indices(flags_.dataset.test.empty() ? flags_.data : flags_.dataset.test);
      data_.test.fields[label].copy(samples, label_type, labels);
      infer.set_scalar(kSeed, static_cast<double>(seed_));
      infer.run();
      int64_t positions = class_axis_->outer * class_axis_->inner / batch_ *
                          std::min(batch, data_.test.count - begin);
      correct += count_correct(*class_axis_, infer.output(scores_), labels, label_type, positions);
      seen += positions;
    }
    return static_cast<double>(correct) / static_cast<double>(std::max<int64_t>(seen, 1));
  }

  void save() {
    DataCursor cursor = sampler_ ? sampler_->cursor() : cursor_;
    session_.save(flags_.save, true,
                  {{"step", std::to_string(step_)},
                   {"seed", std::to_string(seed_)},
                   {"epoch", std::to_string(cursor.epoch)},
                   {"batch", std::to_string(cursor.batch)}});
    if (!flags_.model.json)
      fmt::print(stderr, "saved {} after step {}\n", flags_.save, step_);
  }

  // The weights alone, where other programs find them.
  void write_model() {
    Weights weights = weights_of(session_.planned(), session_.state_bytes());
    if (writes_onnx(flags_))
      write_onnx_model(session_.imported(), weights, flags_.model.model, flags_.output);
    else
      write_weights(weights, session_.imported().name, flags_.output,
                    Durability::beyond_power_loss);
    if (!flags_.model.json)
      fmt::print(stderr, "wrote {}\n", flags_.output);
  }

  void resume() {
    SafetensorsFile file = read_safetensors(flags_.resume);
    if (!file.status.ok())
      throw UserError(flags_.resume, file.status.message);
    auto number = [&](const std::string& key) {
      constexpr int64_t kMost = int64_t{1} << 53;  // as of --steps and --seed
      auto entry = file.metadata.find(key);
      int64_t value = -1;
      if (entry != file.metadata.end())
        std::from_chars(entry->second.data(), entry->second.data() + entry->second.size(), value);
      if (value < 0 || value > kMost)
        throw UserError(
            flags_.resume,
            fmt::format("has no valid `{}` in its metadata, so training cannot go on from it", key))
            .with_help("to start anew from its parameters, use --weights");
      return value;
    };
    step_ = number("step");
    seed_ = number("seed");
    cursor_ = {static_cast<uint64_t>(seed_), number("epoch"), number("batch")};
    session_.load(flags_.resume, true);
  }

  // Of all steps.
  void report_inverses() const {
    if (!flags_.model.verify_invert || flags_.model.json)
      return;
    double most = 0;
    for (const auto& [name, error] : inverse_errors_)
      most = std::isnan(error) ? error : std::max(most, error);
    fmt::print("{} values came from inverses; largest relative error {:.2e}\n",
               inverse_errors_.size(), most);
    for (const auto& [name, error] : inverse_errors_)
      fmt::print("  %{}  {:.2e}\n", name, error);
  }

  void report_json() const {
    if (!flags_.model.json)
      return;
    std::string accuracy =
        last_test_accuracy_ ? fmt::format(", \"test_accuracy\": {:.9g}", *last_test_accuracy_) : "";
    std::string inverses;
    for (const auto& [name, error] : inverse_errors_)
      inverses += fmt::format("{}\"{}\": {:.3g}", inverses.empty() ? "" : ", ", name, error);
    if (flags_.model.verify_invert)
      inverses = ", \"inverse_errors\": {" + inverses + "}";
    fmt::print("{{\"steps\": {}, \"loss\": {:.9g}{}{}, \"arena_bytes\": {}}}\n", step_,
               step_call_.scalar_output(kLoss), accuracy, inverses, step_call_.entry().arena_bytes);
  }

  TrainFlags& flags_;
  std::vector<NamedArray> feed_;  // of --feed
  Session session_;
  EntryCall step_call_;
  MetricsFile metrics_;
  HealthReport health_;
  std::vector<std::byte> state_before_;
  Dataset data_;
  std::vector<SampleInput> inputs_;
  std::unique_ptr<Sampler> sampler_;  // null with --feed
  DataCursor cursor_;
  std::optional<ClassAxis> class_axis_;
  std::string scores_, label_;
  std::optional<double> last_test_accuracy_;
  std::map<std::string, double> inverse_errors_;  // of all steps, with --verify-invert
  int64_t batch_ = 0, seed_ = 0, step_ = 0, total_steps_ = 0, correct_ = 0, seen_ = 0;
};

}  // namespace

bool writes_onnx(const TrainFlags& flags) {
  return std::filesystem::path(flags.output).extension() == ".onnx";
}

void train(TrainFlags& flags) {
  Trainer(flags).run();
}

}  // namespace gradc
