#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "compiler/import/onnx/onnx_file.h"
#include "ir/diagnostic.h"
#include "tests/support/onnx_messages.h"
#include "tests/support/temporary_directory.h"

using namespace gradc;
using namespace gradc::onnx;
using namespace gradc_test;

namespace {

using Contents = std::map<std::string, std::span<const std::byte>>;

std::span<const std::byte> as_span(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string text_of(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.data.bytes.data()), tensor.data.bytes.size()};
}

std::string raw(const std::vector<float>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float)};
}

std::string external_tensor(const std::string& name, const std::vector<int64_t>& dims,
                            const std::string& location, const std::string& offset,
                            int element_type = 1) {
  auto entry = [](const std::string& key, const std::string& value) {
    return Fields().bytes(entry_proto::key, key).bytes(entry_proto::value, value);
  };
  return tensor_head(name, element_type, dims)
      .bytes(tensor_proto::external_data, entry("location", location))
      .bytes(tensor_proto::external_data, entry("offset", offset))
      .integer(tensor_proto::data_location, 1);
}

// A node Constant whose result is `name`; the tensor has a name of its own.
std::string constant_node(const std::string& name, const std::string& tensor,
                          const std::string& op_type = "Constant") {
  return Fields()
      .bytes(node_proto::output, name)
      .bytes(node_proto::op_type, op_type)
      .bytes(node_proto::attribute, Fields()
                                        .bytes(attribute_proto::name, "value")
                                        .integer(attribute_proto::type, 4)
                                        .bytes(attribute_proto::t, tensor));
}

// A folder with the model `from`, copied to `to`.
struct Files {
  TemporaryDirectory directory;
  std::string from = directory.file("from.onnx"), to = directory.file("to.onnx");

  explicit Files(const std::string& model) { write_text(from, model); }
  std::string copied(const Contents& contents, uint64_t most_bytes = kMostModelBytes) const {
    write_onnx(from, to, contents, most_bytes);
    return read_text(to);
  }
  // What the attempt says, without the folder; nothing may be left behind.
  std::string error(const Contents& contents) const {
    size_t before = directory.entries();
    try {
      write_onnx(from, to, contents);
    } catch (const UserError& error) {
      CHECK(directory.entries() == before);
      std::string text = error.what();
      REQUIRE(text.starts_with(directory.file("")));
      return text.substr(directory.file("").size());
    }
    return "";
  }
};

}  // namespace

TEST_CASE("a copy holds new bytes and is the same in all others", "[onnx]") {
  auto model = [](const std::string& w, const std::string& c) {
    Fields graph;
    graph.bytes(graph_proto::name, "g")
        .bytes(graph_proto::node, constant_node("c", raw_tensor("other", 1, {1}, c)))
        .bytes(graph_proto::node,
               constant_node("w", raw_tensor("w", 1, {1}, raw({9})), "NotConstant"))
        .bytes(1000, "a field that nobody knows")
        .bytes(graph_proto::initializer, raw_tensor("w", 1, {2}, w))
        .bytes(graph_proto::initializer, raw_tensor("other", 1, {1}, raw({5})));
    // A number in more bytes than it needs stays as it is.
    std::string head = {'\x08', '\x88', '\x80', '\x00'};
    return head + model_of(graph) + Fields().bytes(999, "unknown").text();
  };
  std::string w = raw({1, 2}), c = raw({3}), new_w = raw({-1, 7}), new_c = raw({4});
  Files files(model(w, c));
  CHECK(files.copied({}) == model(w, c));
  CHECK(files.copied({{"w", as_span(new_w)}}) == model(new_w, c));
  CHECK(files.copied({{"c", as_span(new_c)}}) == model(w, new_c));
  CHECK(files.copied({{"w", as_span(new_w)}, {"c", as_span(new_c)}}) == model(new_w, new_c));
  CHECK(files.directory.entries() == 2);

  // Onto itself.
  write_onnx(files.from, files.from, {{"w", as_span(new_w)}});
  CHECK(read_text(files.from) == model(new_w, c));
}

TEST_CASE("typed lists become raw data where they stood", "[onnx]") {
  Fields list = tensor_head("h", 10, {2});
  list.integer(tensor_proto::int32_data, 15360).integer(tensor_proto::int32_data, 0);
  list.bytes(1000, "unknown");
  std::string half("\x00\x3c\x00\xbc", 4);
  Fields expected = tensor_head("h", 10, {2});
  expected.bytes(tensor_proto::raw_data, half).bytes(1000, "unknown");
  Files files(model_of_tensors({list}));
  CHECK(files.copied({{"h", as_span(half)}}) == model_of_tensors({expected}));
}

TEST_CASE("a copy brings external data with it, wherever they are used", "[onnx]") {
  Fields sub_graph;
  sub_graph.bytes(graph_proto::initializer, external_tensor("inner", {1}, "w.bin", "4"))
      .bytes(graph_proto::initializer, raw_tensor("x", 1, {1}, raw({8})));
  Fields branch;
  branch.bytes(node_proto::op_type, "If")
      .bytes(node_proto::attribute, Fields()
                                        .bytes(attribute_proto::name, "then_branch")
                                        .integer(attribute_proto::type, 5)
                                        .bytes(attribute_proto::g, sub_graph));
  Fields function;
  function.bytes(function_proto::name, "f")
      .bytes(function_proto::node, constant_node("x", external_tensor("x", {1}, "w.bin", "0")));
  Fields graph;
  graph.bytes(graph_proto::initializer, external_tensor("w", {2}, "w.bin", "0"))
      .bytes(graph_proto::initializer, external_tensor("v", {2}, "w.bin", "4"))
      // As they lie in the file: a bool that is neither 0 nor 1.
      .bytes(graph_proto::initializer, external_tensor("b", {4}, "w.bin", "0", 9))
      .bytes(graph_proto::node, branch);
  std::string bytes = raw({1, 2, 3}), x = raw({6}), v = raw({-1, -2});
  Files files(model_of(graph) + Fields().bytes(model_proto::functions, function).text());
  write_text(files.directory.file("w.bin"), bytes);

  write_onnx(files.from, files.to, {{"x", as_span(x)}, {"v", as_span(v)}});
  std::filesystem::remove(files.directory.file("w.bin"));
  CHECK(read_text(files.to).find("w.bin") == std::string::npos);
  CHECK(read_text(files.to).find(bytes.substr(0, 4)) != std::string::npos);
  Model copy = read_onnx(files.to);
  CHECK(text_of(copy.graph.initializers.at(0)) == raw({1, 2}));
  CHECK(text_of(copy.graph.initializers.at(1)) == v);
  const Graph& inner = *copy.graph.nodes.at(0).attributes.at(0).graph;
  CHECK(text_of(inner.initializers.at(0)) == raw({2}));
  CHECK(text_of(inner.initializers.at(1)) == x);
  // A function's names are its own.
  CHECK(text_of(*copy.functions.at(0).nodes.at(0).attributes.at(0).tensor) == raw({1}));
  std::string raw_bools = Fields().bytes(tensor_proto::raw_data, bytes.substr(0, 4));
  CHECK(read_text(files.to).find(tensor_head("b", 9, {4}).text() + raw_bools) != std::string::npos);
}

TEST_CASE("a copy of a model with external data has them in a file beside it", "[onnx]") {
  std::string large(2000, 'a'), inside(2000, 'b'), fresh(2000, 'c'), small = raw({1});
  Files files(model_of_tensors(
      {external_tensor("l", {500}, "w.bin", "0"), raw_tensor("i", 1, {500}, inside),
       external_tensor("s", {1}, "w.bin", "2000"), external_tensor("k", {500}, "w.bin", "0")}));
  write_text(files.directory.file("w.bin"), large + small);
  CHECK(external_data_paths(files.from) == std::vector{files.directory.file("w.bin")});
  check_replaceable(files.from, {{"l", as_span(fresh)}});
  CHECK(files.directory.entries() == 2);

  files.copied({{"l", as_span(fresh)}});
  CHECK(files.directory.entries() == 4);
  CHECK(read_text(files.to + ".data") == fresh + std::string(4096 - 2000, '\0') + large);
  CHECK(external_data_paths(files.to) == std::vector{files.to + ".data"});
  std::filesystem::remove(files.directory.file("w.bin"));
  for (int again = 0; again < 2; ++again) {
    Model copy = read_onnx(files.to);
    CHECK(text_of(copy.graph.initializers.at(0)) == fresh);
    CHECK(text_of(copy.graph.initializers.at(1)) == inside);
    CHECK(text_of(copy.graph.initializers.at(2)) == small);
    CHECK(text_of(copy.graph.initializers.at(3)) == large);
    CHECK(read_text(files.to).find(inside) != std::string::npos);
    // Onto itself: the old data are read while the new file is written.
    write_onnx(files.to, files.to, {});
  }
}

TEST_CASE("a copy beyond the limit has its large initializers in a file beside it", "[onnx]") {
  std::string large(2000, 'a'), other(1024, 'b'), fresh(2000, 'c'), small = raw({1});
  std::string model =
      model_of_tensors({raw_tensor("l", 1, {500}, large), raw_tensor("s", 1, {1}, small),
                        raw_tensor("o", 3, {1024}, other)});
  Files files(model);
  CHECK(files.copied({}, model.size()) == model);
  CHECK(files.directory.entries() == 2);

  std::string copied = files.copied({{"l", as_span(fresh)}}, model.size() - 1);
  CHECK(copied.size() < 300);
  CHECK(files.directory.entries() == 3);
  CHECK(read_text(files.to + ".data") == fresh + std::string(4096 - 2000, '\0') + other);
  auto check = [&](const std::string& path) {
    Model read = read_onnx(path);
    CHECK(text_of(read.graph.initializers.at(0)) == fresh);
    CHECK(text_of(read.graph.initializers.at(1)) == small);
    CHECK(text_of(read.graph.initializers.at(2)) == other);
  };
  check(files.to);
  // Once more, onto itself: the old data are read while the new file is written.
  write_onnx(files.to, files.to, {}, 100);
  check(files.to);
  CHECK(files.directory.entries() == 3);
}

TEST_CASE("a copy that cannot be made says why and leaves nothing", "[onnx]") {
  std::string four = raw({1}), eight = raw({1, 2});
  Files files(
      model_of_tensors({raw_tensor("w", 1, {1}, four), raw_tensor("twice", 1, {1}, four),
                        raw_tensor("twice", 1, {1}, four), raw_tensor("unsigned", 12, {1}, four),
                        raw_tensor("none", 1, {0}, "")}));
  write_text(files.to, "before");
  CHECK(files.error({{"w", as_span(eight)}}) ==
        "from.onnx: tensor \"w\": error: is FLOAT of 4 bytes and cannot take 8 bytes");
  CHECK(files.error({{"unsigned", as_span(four)}}) ==
        "from.onnx: tensor \"unsigned\": error: is UINT32 of 0 bytes and cannot take 4 bytes");
  CHECK(files.error({{"x", as_span(four)}}) ==
        "from.onnx: error: has no initializer and no tensor of a Constant node \"x\" to replace");
  CHECK(files.error({{"twice", as_span(four)}}) ==
        "from.onnx: error: has 2 initializers or Constant nodes \"twice\"; names must be unique");
  CHECK(read_text(files.to) == "before");
  CHECK_THROWS_WITH(check_replaceable(files.from, {{"x", as_span(four)}}),
                    Catch::Matchers::Contains("Constant node \"x\" to replace"));

  Files no_model("");
  CHECK(no_model.error({}) ==
        "from.onnx: error: is not an ONNX model, or cut short: it has no graph");
  Files folder(model_of_tensors({}));
  std::filesystem::create_directory(folder.to);
  CHECK(folder.error({}) == "to.onnx: error: is a directory, a file name is needed");
  Files nowhere(model_of_tensors({}));
  nowhere.to = nowhere.directory.file("missing/to.onnx");
  CHECK(nowhere.error({}) == "missing/to.onnx: error: cannot create: No such file or directory");
}

TEST_CASE("a copy goes to where a link points, its data never through one", "[onnx]") {
  std::string large(2000, 'a');
  Files files(model_of_tensors({raw_tensor("w", 1, {500}, large)}));
  std::string victim = files.directory.file("victim"), link = files.directory.file("link.onnx");
  write_text(victim, "precious");
  write_text(files.to, "before");
  std::filesystem::create_symlink(files.to, link);
  std::filesystem::create_symlink(victim, files.to + ".data");
  write_onnx(files.from, link, {}, 1);
  CHECK(std::filesystem::is_symlink(link));
  CHECK(read_text(victim) == "precious");
  CHECK(text_of(read_onnx(files.to).graph.initializers.at(0)) == large);
}
