#include "tools/plan/instance.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "compiler/compile.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMostBytes = int64_t{1} << 52;  // sums of many stay within 64 bits
constexpr int64_t kMostCost = int64_t{1} << 48;

std::string in_words(const Json& value) {
  constexpr size_t kMostShown = 40;
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() > kMostShown ? text.substr(0, kMostShown) + "..." : text;
}

// A part of the file, and where it is.
class Part {
 public:
  Part(const Json& json, std::string place) : json_(json), place_(std::move(place)) {}

  [[noreturn]] void fail(const std::string& message) const { throw UserError(place_, message); }

  Part operator[](const char* key) const {
    if (!json_.is_object())
      fail(fmt::format("{} is no object", in_words(json_)));
    auto found = json_.find(key);
    if (found == json_.end())
      fail(fmt::format("there is no `{}`", key));
    return {*found, fmt::format("{}{}{}", place_, place_.ends_with(' ') ? "" : ".", key)};
  }

  std::vector<Part> items() const {
    if (!json_.is_array())
      fail(fmt::format("{} is no list", in_words(json_)));
    std::vector<Part> items;
    for (size_t i = 0; i < json_.size(); ++i)
      items.emplace_back(json_[i], fmt::format("{}[{}]", place_, i));
    return items;
  }

  // A whole number from 0 to below `end`.
  int64_t number(int64_t end) const {
    bool whole =
        json_.is_number_unsigned() ||
        (json_.is_number_float() && json_.get<double>() >= 0 &&
         json_.get<double>() ==
             static_cast<double>(static_cast<int64_t>(std::min(json_.get<double>(), 9e15))));
    if (!whole)
      fail(fmt::format("{} is no whole number from 0 on", in_words(json_)));
    double value = json_.get<double>();
    if (value >= static_cast<double>(end))
      fail(fmt::format("{} is not below {}", in_words(json_), end));
    return json_.get<int64_t>();
  }

  bool truth() const {
    if (!json_.is_boolean())
      fail(fmt::format("{} is neither true nor false", in_words(json_)));
    return json_.get<bool>();
  }

  std::string text() const {
    if (!json_.is_string())
      fail(fmt::format("{} is no text", in_words(json_)));
    return json_.get<std::string>();
  }

 private:
  const Json& json_;
  std::string place_;
};

Json parse(std::string_view text, const std::string& path) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    size_t at = std::min(error.byte > 0 ? error.byte - 1 : 0, text.size());
    std::string_view before = text.substr(0, at);
    auto line = 1 + std::count(before.begin(), before.end(), '\n');
    size_t newline = before.rfind('\n');
    size_t column = newline == std::string_view::npos ? at + 1 : at - newline;
    std::string seen = at < text.size() ? fmt::format("`{}`", text[at]) : "the end of the file";
    throw UserError(fmt::format("{}:{}:{}", path, line, column),
                    fmt::format("{} is not where JSON can have it", seen));
  }
}

class Reader {
 public:
  explicit Reader(const Part& file) {
    instance_.name = file["name"].text();
    instance_.problem.sharing = Problem::Sharing::largest;
    read_values(file["values"].items());
    std::vector<Part> kernels = file["kernels"].items();
    for (const Part& kernel : kernels)
      read_kernel(kernel);
    for (size_t k = 0; k < kernels.size(); ++k)
      find_order(static_cast<int>(k), kernels[k]);
  }

  PlanInstance run() { return std::move(instance_); }

 private:
  static constexpr int kPersistent = -1;

  Problem& problem() { return instance_.problem; }

  void read_values(const std::vector<Part>& values) {
    for (size_t i = 0; i < values.size(); ++i) {
      check_id(values[i]["id"], i);
      std::string name = values[i]["name"].text();
      int64_t bytes = values[i]["size"].number(kMostBytes);
      number_of_.push_back(kPersistent);
      if (values[i]["persistent"].truth())
        continue;
      number_of_.back() = problem().value_count();
      problem().values.push_back({bytes, {}});
      instance_.value_names.push_back(std::move(name));
    }
    writers_.resize(values.size());
  }

  static void check_id(const Part& id, size_t position) {
    if (id.number(INT32_MAX) != static_cast<int64_t>(position))
      id.fail(fmt::format("ids count from 0 in the order of the list; this one has to be {}",
                          position));
  }

  size_t value_id(const Part& part) const {
    int64_t id = part.number(INT32_MAX);
    if (id >= static_cast<int64_t>(number_of_.size()))
      part.fail(fmt::format("there is no value {}; there are {}", id, number_of_.size()));
    return static_cast<size_t>(id);
  }

  void read_kernel(const Part& part) {
    check_id(part["id"], problem().kernels.size());
    int number = problem().kernel_count();
    PlanKernel kernel;
    kernel.cost = part["cost"].number(kMostCost);
    kernel.workspace = part["workspace"].number(kMostBytes);
    kernel.required = part["required"].truth();
    kernel.forward = part["role"].text() == "fwd";
    for (const Part& input : part["inputs"].items())
      if (int value = number_of_[value_id(input)];
          value != kPersistent && !has(kernel.reads, value))
        kernel.reads.push_back(value);
    for (const Part& output : part["outputs"].items())
      kernel.writes.push_back(written_value(kernel, output));
    for (const Part& pair : part["inplace"].items())
      read_pair(kernel, pair);
    for (const Part& value : part["mutates"].items()) {
      size_t id = value_id(value);
      if (number_of_[id] != kPersistent)
        value.fail(fmt::format("value {} is not persistent", id));
      writers_[id].push_back(number);
      kernel.once = true;
    }
    if (kernel.once && !kernel.required)
      part["mutates"].fail("a kernel that is not required cannot change persistent values");
    for (int value : kernel.writes)
      add_producer(value, number, kernel.required);
    problem().kernels.push_back(std::move(kernel));
    instance_.kernel_names.push_back(part["name"].text());
  }

  static bool has(const std::vector<int>& list, int item) {
    return std::find(list.begin(), list.end(), item) != list.end();
  }

  int written_value(const PlanKernel& kernel, const Part& output) const {
    size_t id = value_id(output);
    int value = number_of_[id];
    if (value == kPersistent)
      output.fail(fmt::format("value {} is persistent: it is changed by `mutates`", id));
    if (has(kernel.reads, value))
      output.fail(fmt::format("value {} is an input of the kernel, too", id));
    if (has(kernel.writes, value))
      output.fail(fmt::format("value {} is listed twice", id));
    return value;
  }

  void read_pair(PlanKernel& kernel, const Part& pair) const {
    std::vector<Part> items = pair.items();
    if (items.size() != 2)
      pair.fail(fmt::format("a pair has an input and an output, not {} values", items.size()));
    size_t from = value_id(items[0]), to = value_id(items[1]);
    if (!has(kernel.writes, number_of_[to]) || number_of_[to] == kPersistent)
      items[1].fail(fmt::format("value {} is no output of the kernel", to));
    if (number_of_[from] != kPersistent && !has(kernel.reads, number_of_[from]))
      items[0].fail(fmt::format("value {} is no input of the kernel", from));
    if (number_of_[from] != kPersistent)  // the bytes of persistent values are not for others
      kernel.inplace.emplace_back(number_of_[from], number_of_[to]);
  }

  // Required ones first.
  void add_producer(int value, int kernel, bool required) {
    std::vector<int>& producers = problem().values[value].producers;
    auto at = producers.end();
    if (required)
      at = std::find_if(producers.begin(), producers.end(),
                        [&](int other) { return !problem().kernels[other].required; });
    producers.insert(at, kernel);
  }

  void find_order(int number, const Part& part) {
    PlanKernel& kernel = problem().kernels[number];
    for (int value : kernel.reads) {
      const std::vector<int>& producers = problem().values[value].producers;
      if (producers.empty() || !problem().kernels[producers[0]].required)
        part["inputs"].fail(fmt::format("no required kernel makes `{}`, which is read here",
                                        instance_.value_names[value]));
      if (!has(kernel.after, producers[0]))
        kernel.after.push_back(producers[0]);
    }
    for (const Part& input : part["inputs"].items())
      for (int writer : writers_[value_id(input)])
        if (writer != number && !has(kernel.overwriters, writer))
          kernel.overwriters.push_back(writer);
  }

  PlanInstance instance_;
  std::vector<int> number_of_;  // by id: the problem's value, or kPersistent
  std::vector<std::vector<int>> writers_;  // by id: kernels that change the persistent value
};

}  // namespace

PlanInstance parse_instance(std::string_view text, const std::string& path) {
  Json json = parse(text, path);
  return Reader(Part(json, path + ": ")).run();
}

PlanInstance read_instance(const std::string& path) {
  return parse_instance(read_text_file(path), path);
}

}  // namespace gradc
