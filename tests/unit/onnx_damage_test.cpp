// Files that are not what they should be, byte by byte: reading and importing them fails or
// succeeds, in bounded memory and time. Sanitizer builds see whatever else goes wrong.
#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <functional>

#include "compiler/import/onnx/onnx_file.h"
#include "compiler/import/onnx/onnx_import.h"
#include "ir/diagnostic.h"
#include "tests/support/heap_peak.h"
#include "tests/support/onnx_messages.h"
#include "tests/support/temporary_directory.h"

using namespace gradc;
using namespace gradc::onnx;
using namespace gradc_test;

namespace {

const std::string kFolder = GRADC_SOURCE_DIR "/tests/data/onnx/";

// A copy of a model and its data, to be damaged in place.
class Victim {
 public:
  explicit Victim(const std::string& name) : path_(directory_.file(name)) {
    for (const char* each : {name.c_str(), "control.bin"})
      std::filesystem::copy_file(kFolder + each, directory_.file(each));
    file_ = open(path_.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(file_ >= 0);
    bytes_ = read_text(path_);
  }
  ~Victim() { close(file_); }

  const std::string& path() const { return path_; }
  size_t size() const { return bytes_.size(); }
  void flip(size_t at, int mask) {
    char byte = static_cast<char>(bytes_[at] ^ mask);
    REQUIRE(pwrite(file_, &byte, 1, static_cast<off_t>(at)) == 1);
  }
  void restore(size_t at) { REQUIRE(pwrite(file_, &bytes_[at], 1, static_cast<off_t>(at)) == 1); }
  void cut(size_t size) { REQUIRE(ftruncate(file_, static_cast<off_t>(size)) == 0); }

 private:
  TemporaryDirectory directory_;
  std::string path_, bytes_;
  int file_ = -1;
};

using Attempt = void (*)(const std::string& path);

void import_for_training(const std::string& path) {
  Options options;
  options.train = true;
  options.loss = "mse";
  if (path.ends_with("classifier.onnx"))
    options.binds = {{"batch", 2}};
  else
    options.binds = {{"condition", 1}};
  import_onnx(path, options);
}

// True if the file is taken, false if it is refused as it should be.
bool is_taken(Attempt attempt, const std::string& path) {
  try {
    attempt(path);
    return true;
  } catch (const UserError& error) {
    std::string text = error.what();
    // A size that lost its name makes the flag that binds it wrong.
    bool is_clear =
        text.starts_with(path) && text.size() < 2000 &&
        (error.fault() == Fault::model_or_data || text.find(": --b") != std::string::npos);
    if (!is_clear)
      FAIL(text);
    return false;
  }
}

bool is_read(const std::string& path) {
  return is_taken([](const std::string& file) { read_onnx(file); }, path);
}

// The same, and that it took no more memory than a file of this size may.
bool is_read_in_bounds(const std::string& path, size_t file_size) {
  reset_heap_peak();
  int64_t before = heap_bytes();
  bool result = is_read(path);
  int64_t taken = heap_peak() - before;
  INFO(path << ": " << file_size << " bytes took " << taken);
  if (taken > 32768 + 192 * static_cast<int64_t>(file_size))
    FAIL_CHECK();
  return result;
}

}  // namespace

TEST_CASE("damaged files are refused or read, never more", "[onnx][damage]") {
  std::string name = GENERATE("classifier.onnx", "control.onnx");
  Victim victim(name);
  REQUIRE(is_read(victim.path()));
  int read = 0, refused = 0;
  auto attempt = [&](size_t size) { ++(is_read_in_bounds(victim.path(), size) ? read : refused); };
  for (size_t at = 0; at < victim.size(); ++at)
    for (int mask : {0x01, 0x80, 0xff}) {
      victim.flip(at, mask);
      attempt(victim.size());
      victim.restore(at);
    }
  // Most bytes are elements or names, which may be anything.
  CHECK(read > 0);
  CHECK(refused > static_cast<int>(victim.size()) / 4);
  REQUIRE(is_read(victim.path()));

  read = refused = 0;
  for (size_t size = victim.size(); size-- > 0;) {
    victim.cut(size);
    attempt(size);
  }
  // What follows the graph may be missing.
  CHECK(refused > static_cast<int>(victim.size()) / 2);
}

// A damaged size may be any number: what an import takes is bounded all the same.
TEST_CASE("damaged files are imported or refused in bounded time and memory", "[onnx][damage]") {
  std::string name = GENERATE("classifier.onnx", "control.onnx");
  Victim victim(name);
  int taken = 0, refused = 0;
  auto attempt = [&](size_t at) {
    reset_heap_peak();
    auto begin = std::chrono::steady_clock::now();
    ++(is_taken(import_for_training, victim.path()) ? taken : refused);
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    INFO(name << ", byte " << at << ": " << heap_peak() << " bytes, " << seconds.count() << " s");
    if (seconds.count() > 1 || heap_peak() > int64_t{1} << 30)
      FAIL_CHECK();
  };
  for (size_t at = 0; at < victim.size(); ++at)
    for (int mask : {0x01, 0x80, 0xff}) {
      victim.flip(at, mask);
      attempt(at);
      victim.restore(at);
    }
  CHECK(taken > 0);
  CHECK(refused > static_cast<int>(victim.size()) / 4);
  for (size_t size = victim.size(); size-- > 0;) {
    victim.cut(size);
    attempt(size);
  }
}

TEST_CASE("memory that a file takes is bounded by its size", "[onnx][damage]") {
  TemporaryDirectory directory;
  auto check = [&](const char* what, const std::string& field,
                   const std::function<std::string(const std::string&)>& wrap) {
    std::string fields;
    while (fields.size() < 200000)
      fields += field;
    std::string bytes = wrap(fields);
    std::string path = directory.file(what);
    write_text(path, bytes);
    is_read_in_bounds(path, bytes.size());
  };
  auto field = [](uint32_t number, const std::string& content = "") {
    return Fields().bytes(number, content).text();
  };
  auto in_graph = [](const std::string& fields) { return model_of(fields); };
  auto in_node = [&](const std::string& fields) {
    return model_of(field(graph_proto::node, field(node_proto::op_type, "A") + fields));
  };
  auto in_attribute = [&](const std::string& fields) {
    return in_node(field(node_proto::attribute, field(attribute_proto::name, "a") + fields));
  };
  auto in_tensor = [&](const std::string& fields) {
    return model_of(field(graph_proto::initializer, fields));
  };
  auto in_shape = [&](const std::string& fields) {
    return model_of(
        field(graph_proto::input,
              field(value_info_proto::type,
                    field(type_proto::tensor_type, field(tensor_type_proto::shape, fields)))));
  };
  check("nodes", field(graph_proto::node, field(node_proto::op_type, "A")), in_graph);
  check("initializers", field(graph_proto::initializer), in_graph);
  check("inputs", field(graph_proto::input), in_graph);
  check("functions", field(model_proto::functions, field(function_proto::name, "f")),
        [&](const std::string& fields) { return model_of("") + fields; });
  check("names", field(node_proto::input), in_node);
  check("attributes", field(node_proto::attribute, field(attribute_proto::name, "a")), in_node);
  check("strings", field(attribute_proto::strings), in_attribute);
  check("numbers", field(attribute_proto::ints, std::string(1000, '\1')), in_attribute);
  check("tensors", field(attribute_proto::t), in_attribute);
  check("graphs", field(attribute_proto::g), in_attribute);
  check("sizes", field(shape_proto::dim), in_shape);
  check("dims", field(tensor_proto::dims, std::string(1000, '\1')), in_tensor);
}
