// A copy of a model with other weights, as a list of pieces: spans of the file, of external data
// and of the new contents, with new tags and lengths only around what changed. Nothing else is
// encoded again, so what we do not know stays as it is.
#include <cstdlib>
#include <deque>
#include <memory>
#include <protozero/varint.hpp>

#include "compiler/import/onnx/onnx_fields.h"
#include "compiler/import/onnx/onnx_file.h"
#include "compiler/import/onnx/reading.h"
#include "compiler/import/onnx/replaced_file.h"

namespace gradc::onnx {
namespace {

using protozero::pbf_wire_type;
using Contents = std::map<std::string, std::span<const std::byte>>;

constexpr uint64_t kLeastExternal = 1024;  // smaller tensors lie in the model's file
constexpr uint64_t kAlignment = 4096;  // of tensors in a data file: a page

// Bytes that lie elsewhere, in order.
struct Pieces {
  std::vector<std::string_view> parts;
  uint64_t size = 0;

  void append(std::string_view bytes) {
    if (bytes.empty())
      return;
    size += bytes.size();
    if (!parts.empty() && parts.back().data() + parts.back().size() == bytes.data())
      parts.back() = {parts.back().data(), parts.back().size() + bytes.size()};
    else
      parts.push_back(bytes);
  }
  void append(const Pieces& other) {
    for (std::string_view part : other.parts)
      append(part);
  }
};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string varint(uint64_t number) {
  std::string text;
  protozero::write_varint(std::back_inserter(text), number);
  return text;
}

std::string tag(uint32_t field, pbf_wire_type type) {
  return varint(uint64_t{field} << 3 | static_cast<uint64_t>(type));
}

std::string text_field(uint32_t field, std::string_view text) {
  return tag(field, pbf_wire_type::length_delimited) + varint(text.size()) + std::string(text);
}

// Of NodeProto: the name of the result if it is a Constant.
std::optional<std::string> constant_name(Message node) {
  std::string op_type, domain;
  std::vector<std::string> outputs;
  while (node.next()) {
    if (node.field() == node_proto::op_type)
      op_type = node.string();
    else if (node.field() == node_proto::domain)
      domain = node.string();
    else if (node.field() == node_proto::output)
      outputs.push_back(node.string());
  }
  bool is_constant = op_type == "Constant" && (domain.empty() || domain == "ai.onnx");
  return is_constant && outputs.size() == 1 ? std::optional(outputs.front()) : std::nullopt;
}

// The last string of a field, as protobuf reads it.
std::string last_string(Message message, uint32_t field) {
  std::string text;
  while (message.next())
    if (message.field() == field)
      text = message.string();
  return text;
}

bool holds_elements(uint32_t field) {
  switch (field) {
    case tensor_proto::raw_data:
    case tensor_proto::float_data:
    case tensor_proto::int32_data:
    case tensor_proto::string_data:
    case tensor_proto::int64_data:
    case tensor_proto::double_data:
    case tensor_proto::uint64_data:
    case tensor_proto::external_data:
    case tensor_proto::data_location:
      return true;
    default:
      return false;
  }
}

// The file that large initializers go to, if any does.
class DataFile {
 public:
  explicit DataFile(const std::string& path)
      : path_(path), location_(path.substr(path.rfind('/') + 1)) {}

  // Writes the bytes; the TensorProto's fields that say where they are.
  std::string add(std::string_view bytes) {
    if (!file_)
      file_ = std::make_unique<ReplacedFile>(path_);
    uint64_t padding = (kAlignment - end_ % kAlignment) % kAlignment;
    file_->write(std::string(padding, '\0'));
    uint64_t offset = end_ + padding;
    file_->write(bytes);
    end_ = offset + bytes.size();
    return entry("location", location_) + entry("offset", std::to_string(offset)) +
           entry("length", std::to_string(bytes.size())) +
           tag(tensor_proto::data_location, pbf_wire_type::varint) + varint(1);
  }
  void commit() {
    if (file_)
      file_->commit();
  }

 private:
  static std::string entry(std::string_view key, std::string_view value) {
    return text_field(tensor_proto::external_data,
                      text_field(entry_proto::key, key) + text_field(entry_proto::value, value));
  }

  std::string path_, location_;
  std::unique_ptr<ReplacedFile> file_;
  uint64_t end_ = 0;
};

// Where a message lies.
struct Scope {
  int depth = 0;  // graphs around
  bool has_names = true;  // of `contents`; a function's names are its own
};

// Each function returns a message's new bytes, or nullopt if it stays as it is.
class Copy {
 public:
  using Changed = std::optional<Pieces>;

  // With a data file, external data go there, and with `move_large` other initializers too, if they
  // are large.
  Copy(Reading& reading, const Contents& contents, DataFile* data, bool move_large = false)
      : reading_(reading), contents_(contents), data_(data), move_large_(move_large) {}

  Pieces model();

 private:
  // `change` gives the new bytes of a message's current field, nullopt to keep it.
  template <typename Change>
  Changed rewritten(Message message, Change change);
  Changed graph(const Message& message, Scope scope);
  Changed node(const Message& message, Scope scope);
  Changed attribute(const Message& message, Scope scope,
                    const std::optional<std::string>& constant);
  Changed sparse_tensor(const Message& message);
  Changed function(const Message& message);
  // `name` is what `contents` call it.
  Changed tensor(const Message& message, const std::optional<std::string>& name,
                 bool may_move = false);
  std::optional<std::string_view> replacement(const Message& message, const std::string& name);
  Pieces with_elements(Message message, std::string_view bytes, bool to_data_file);
  std::string_view kept(std::string text) { return made_.emplace_back(std::move(text)); }
  void check_all_found() const;

  Reading& reading_;
  const Contents& contents_;
  DataFile* data_;
  bool move_large_;
  std::map<std::string, int> found_;
  std::deque<std::string> made_;  // what pieces lie in that lie nowhere else
};

template <typename Change>
Copy::Changed Copy::rewritten(Message message, Change change) {
  Pieces to;
  bool is_changed = false;
  while (message.next()) {
    Changed content = change(message);
    if (!content) {
      to.append(message.whole_field());
      continue;
    }
    is_changed = true;
    to.append(kept(tag(message.field(), pbf_wire_type::length_delimited) + varint(content->size)));
    to.append(*content);
  }
  return is_changed ? Changed(std::move(to)) : std::nullopt;
}

Pieces Copy::model() {
  bool has_graph = false;
  Message whole = reading_.whole("ModelProto");
  Changed changed = rewritten(whole, [&](const Message& field) -> Changed {
    switch (field.field()) {
      case model_proto::graph:
        has_graph = true;
        return graph(field.message("GraphProto"), Scope{});
      case model_proto::functions:
        return function(field.message("FunctionProto"));
      default:
        return std::nullopt;
    }
  });
  if (!has_graph)
    throw UserError(reading_.origin.path, "is not an ONNX model, or cut short: it has no graph");
  check_all_found();
  if (changed)
    return *std::move(changed);
  Pieces same;
  same.append(whole.whole());
  return same;
}

void Copy::check_all_found() const {
  for (const auto& [name, bytes] : contents_) {
    auto found = found_.find(name);
    if (found == found_.end())
      throw UserError(reading_.origin.path,
                      fmt::format("has no initializer and no tensor of a Constant node {} to "
                                  "replace",
                                  shown(name)));
    if (found->second > 1)
      throw UserError(reading_.origin.path,
                      fmt::format("has {} initializers or Constant nodes {}; names must be unique",
                                  found->second, shown(name)));
  }
}

Copy::Changed Copy::function(const Message& message) {
  Scope scope = {.has_names = false};
  return rewritten(message, [&](const Message& field) -> Changed {
    switch (field.field()) {
      case function_proto::node:
        return node(field.message("NodeProto"), scope);
      case function_proto::attribute_proto:
        return attribute(field.message("AttributeProto"), scope, std::nullopt);
      default:
        return std::nullopt;
    }
  });
}

Copy::Changed Copy::graph(const Message& message, Scope scope) {
  check_nesting(message, scope.depth);
  return rewritten(message, [&](const Message& field) -> Changed {
    switch (field.field()) {
      case graph_proto::node:
        return node(field.message("NodeProto"), scope);
      case graph_proto::initializer: {
        Message initializer = field.message("TensorProto");
        if (!scope.has_names)
          return tensor(initializer, std::nullopt, true);
        return tensor(initializer, last_string(initializer, tensor_proto::name), true);
      }
      case graph_proto::sparse_initializer:
        return sparse_tensor(field.message("SparseTensorProto"));
      default:
        return std::nullopt;
    }
  });
}

Copy::Changed Copy::node(const Message& message, Scope scope) {
  std::optional<std::string> constant = scope.has_names ? constant_name(message) : std::nullopt;
  return rewritten(message, [&](const Message& field) -> Changed {
    if (field.field() != node_proto::attribute)
      return std::nullopt;
    Message inner = field.message("AttributeProto");
    bool is_value = constant && last_string(inner, attribute_proto::name) == "value";
    return attribute(inner, scope, is_value ? constant : std::nullopt);
  });
}

Copy::Changed Copy::attribute(const Message& message, Scope scope,
                              const std::optional<std::string>& constant) {
  return rewritten(message, [&](const Message& field) -> Changed {
    switch (field.field()) {
      case attribute_proto::t:
        return tensor(field.message("TensorProto"), constant);
      case attribute_proto::tensors:
        return tensor(field.message("TensorProto"), std::nullopt);
      case attribute_proto::g:
      case attribute_proto::graphs:
        return graph(field.message("GraphProto"), {scope.depth + 1, scope.has_names});
      case attribute_proto::sparse_tensor:
      case attribute_proto::sparse_tensors:
        return sparse_tensor(field.message("SparseTensorProto"));
      default:
        return std::nullopt;
    }
  });
}

Copy::Changed Copy::sparse_tensor(const Message& message) {
  return rewritten(message, [&](const Message& field) -> Changed {
    if (field.field() == sparse_tensor_proto::values ||
        field.field() == sparse_tensor_proto::indices)
      return tensor(field.message("TensorProto"), std::nullopt);
    return std::nullopt;
  });
}

Copy::Changed Copy::tensor(const Message& message, const std::optional<std::string>& name,
                           bool may_move) {
  std::optional<std::string_view> bytes;
  if (name)
    bytes = replacement(message, *name);
  std::optional<SharedBytes> external = read_external_bytes(message, reading_);
  if (!bytes && external)
    bytes = text_of(external->bytes);
  bool moves = data_ && (external || (move_large_ && may_move));
  if (!bytes && moves) {
    Message parts = message;
    while (parts.next())
      if (parts.field() == tensor_proto::raw_data)
        bytes = parts.bytes();
  }
  if (!bytes)
    return std::nullopt;
  return with_elements(message, *bytes, moves && bytes->size() >= kLeastExternal);
}

std::optional<std::string_view> Copy::replacement(const Message& message, const std::string& name) {
  auto content = contents_.find(name);
  if (content == contents_.end())
    return std::nullopt;
  ++found_[name];
  Tensor before = read_tensor(message, reading_);
  if (!before.dtype || content->second.size() != before.data.bytes.size())
    throw UserError(
        fmt::format("{}: tensor {}", reading_.origin.path, shown(name)),
        fmt::format("is {} of {} bytes and cannot take {} bytes", name_of(before.element_type),
                    before.data.bytes.size(), content->second.size()));
  return text_of(content->second);
}

// The elements stand where the first of the old ones stood: new raw data of a tensor that had raw
// data change nothing else.
Pieces Copy::with_elements(Message message, std::string_view bytes, bool to_data_file) {
  Pieces to;
  bool is_put = false;
  auto put = [&] {
    is_put = true;
    if (to_data_file) {
      to.append(kept(data_->add(bytes)));
    } else {
      to.append(kept(tag(tensor_proto::raw_data, pbf_wire_type::length_delimited) +
                     varint(bytes.size())));
      to.append(bytes);
    }
  };
  while (message.next()) {
    if (!holds_elements(message.field()))
      to.append(message.whole_field());
    else if (!is_put)
      put();
  }
  if (!is_put)
    put();
  return to;
}

// What a symbolic link points to is replaced, not the link.
std::string follow_links(const std::string& path) {
  std::unique_ptr<char, decltype(&std::free)> resolved(realpath(path.c_str(), nullptr), &std::free);
  return resolved ? resolved.get() : path;
}

void write_file(const std::string& path, const Pieces& pieces) {
  ReplacedFile file(path);
  for (std::string_view part : pieces.parts)
    file.write(part);
  file.commit();
}

}  // namespace

void check_replaceable(const std::string& path, const Contents& contents) {
  Reading reading(path);
  Copy(reading, contents, nullptr).model();
}

void write_onnx(const std::string& from, const std::string& to, const Contents& contents,
                uint64_t most_bytes) {
  Reading reading(from);
  std::string path = follow_links(to);
  Copy in_one_file(reading, contents, nullptr);
  Pieces pieces = in_one_file.model();
  bool is_large = pieces.size > most_bytes;
  if (!is_large && reading.external.paths().empty()) {
    write_file(path, pieces);
    return;
  }
  DataFile data(path + ".data");
  Copy beside_data(reading, contents, &data, is_large);
  pieces = beside_data.model();
  data.commit();
  write_file(path, pieces);
}

}  // namespace gradc::onnx
