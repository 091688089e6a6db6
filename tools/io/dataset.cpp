#include "tools/io/dataset.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "ir/diagnostic.h"
#include "tools/io/csv_dataset.h"
#include "tools/io/elements.h"
#include "tools/io/idx.h"
#include "tools/io/mapped_file.h"
#include "tools/io/npy.h"
#include "tools/io/npz.h"
#include "tools/io/require.h"

namespace gradc {
namespace {

namespace fs = std::filesystem;

constexpr char kFashionMnist[] = "/usr/share/datasets/fashion-mnist";
constexpr std::string_view kNpy = ".npy";
constexpr double kWhite = 255;

// A split of arrays whose first dimensions must agree.
void add_field(Split& split, const std::string& array_name, const Type& type, SharedBytes data,
               const std::string& name, const std::string& place) {
  if (type.rank() == 0)
    throw UserError(place,
                    fmt::format("`{}` is a single number, not one value per sample", array_name));
  int64_t count = type.dims[0];
  if (!split.fields.empty() && split.count != count)
    throw UserError(place, fmt::format("`{}` has {} samples, `{}` has {}", array_name, count,
                                       split.fields[0].name, split.count));
  split.count = count;
  split.fields.push_back(field_of(name, type, std::move(data)));
}

void add_field(Split& split, NamedArray array, const std::string& name, const std::string& place) {
  add_field(split, array.name, array.type, SharedBytes(std::move(array.data)), name, place);
}

// MNIST's file in the directory, plain or compressed.
NamedArray read_mnist_file(const fs::path& directory, const std::string& name) {
  std::error_code ignored;
  for (const char* suffix : {"", ".gz"})
    if (fs::path path = directory / (name + suffix); fs::exists(path, ignored))
      return read_idx(path);
  throw UserError(directory, fmt::format("has neither `{0}` nor `{0}.gz`", name))
      .with_help(
          "a data set directory holds MNIST's four IDX files: images and labels of train and t10k");
}

Dataset open_idx(const fs::path& directory) {
  Dataset dataset;
  auto read = [&](Split& split, const std::string& prefix) {
    NamedArray images = read_mnist_file(directory, prefix + "-images-idx3-ubyte");
    NamedArray labels = read_mnist_file(directory, prefix + "-labels-idx1-ubyte");
    add_field(split, std::move(images), "image", directory);
    add_field(split, std::move(labels), "label", directory);
  };
  read(dataset.train, "train");
  read(dataset.test, "t10k");
  return dataset;
}

Dataset open_fashion_mnist() {
  std::error_code ignored;
  if (!fs::is_directory(kFashionMnist, ignored))
    throw UserError(kFashionMnist, "the data set fashion-mnist is not installed")
        .with_help("apt-get install dataset-fashion-mnist");
  return open_idx(kFashionMnist);
}

// `x_test` and `test_x` are the test split of `x`.
std::pair<std::string, bool> split_name(const std::string& name) {
  for (auto [mark, test] : {std::pair<std::string_view, bool>{"train", false}, {"test", true}}) {
    if (name.ends_with("_" + std::string(mark)))
      return {name.substr(0, name.size() - mark.size() - 1), test};
    if (name.starts_with(std::string(mark) + "_"))
      return {name.substr(mark.size() + 1), test};
  }
  return {name, false};
}

Dataset open_npz(const std::string& path) {
  Dataset dataset;
  for (NamedArray& array : read_npz(path)) {
    auto [name, test] = split_name(array.name);
    add_field(test ? dataset.test : dataset.train, std::move(array), name, path);
  }
  return dataset;
}

// Adds the array of an .npy file, as that of its name in an .npz file.
void add_npy(Dataset& dataset, const fs::path& path) {
  NpyView array = view_npy(map_file(path), path);
  std::string stem = path.stem();
  auto [name, test] = split_name(stem);
  add_field(test ? dataset.test : dataset.train, stem, array.type, std::move(array.data), name,
            path);
}

// X.npy,Y.npy
Dataset open_npy_files(const std::string& paths) {
  Dataset dataset;
  for (size_t begin = 0; begin <= paths.size();) {
    size_t end = std::min(paths.find(',', begin), paths.size());
    std::string path = paths.substr(begin, end - begin);
    if (!path.ends_with(kNpy))
      throw UserError(path, "is no .npy file, but the first of the list is one");
    add_npy(dataset, path);
    begin = end + 1;
  }
  return dataset;
}

std::vector<fs::path> npy_files(const fs::path& directory) {
  std::error_code ignored;
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, ignored))
    if (entry.path().extension() == kNpy)
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

Dataset open_directory(const fs::path& directory) {
  std::vector<fs::path> files = npy_files(directory);
  if (files.empty())
    return open_idx(directory);
  Dataset dataset;
  for (const fs::path& file : files)
    add_npy(dataset, file);
  return dataset;
}

// Windows that begin every T bytes, so that an epoch has each byte as a target once.
Split text_split(const Field& text, int64_t begin, int64_t end,
                 std::span<const SampleInput> inputs) {
  int64_t window = inputs[0].type.elements();
  Split split;
  split.count = std::max<int64_t>((end - begin - 1) / window, 0);
  for (size_t i = 0; i < inputs.size(); ++i) {
    bool single = i == 1 && inputs[1].type.elements() == 1;
    Field field = text;
    field.name = i == 0 ? "text" : "next";
    field.sample = {DType::u8, single ? Dims{} : Dims{window}};
    field.offset = begin + (i == 0 ? 0 : single ? window : 1);
    field.stride = window;
    split.fields.push_back(std::move(field));
  }
  return split;
}

Dataset open_text(const std::string& path, std::span<const SampleInput> inputs) {
  if (inputs.empty() || inputs.size() > 2 || inputs[0].type.elements() < 1)
    throw UserError(path,
                    fmt::format("text gives a window of bytes and the bytes that follow, the model "
                                "takes {} inputs",
                                inputs.size()));
  FileBytes file = read_file(path);
  require(file.status);
  Field text;
  text.data = SharedBytes(std::vector<std::byte>(file.bytes().begin(), file.bytes().end()));
  auto size = static_cast<int64_t>(file.size);
  int64_t border = size - size / 10;
  Dataset dataset = {.name = "",
                     .train = text_split(text, 0, border, inputs),
                     .test = text_split(text, border, size, inputs)};
  if (dataset.train.count == 0)
    throw UserError(path, fmt::format("has {} bytes, too few for windows of {}", size,
                                      inputs[0].type.elements()));
  return dataset;
}

const Field* find_field(const Split& split, const std::string& name) {
  auto found = std::find_if(split.fields.begin(), split.fields.end(),
                            [&](const Field& field) { return field.name == name; });
  return found == split.fields.end() ? nullptr : &*found;
}

// The names of the fields for the inputs: their own names if all of these exist, else the first
// fields.
std::vector<std::string> choose_fields(const Split& split, std::span<const SampleInput> inputs,
                                       const std::string& place) {
  std::vector<std::string> own, first;
  for (const SampleInput& input : inputs)
    if (find_field(split, input.name))
      own.push_back(input.name);
  if (own.size() == inputs.size())
    return own;
  if (split.fields.size() < inputs.size())
    throw UserError(place, fmt::format("has {} fields, the model takes {}", split.fields.size(),
                                       inputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i)
    first.push_back(split.fields[i].name);
  return first;
}

void check_fit(const Field& field, const SampleInput& input) {
  auto describe = [](const Type& type) {
    return fmt::format("{} ({} elements)", to_string(type), type.elements());
  };
  if (field.sample.elements() != input.type.elements())
    throw UserError(field.place,
                    fmt::format("a sample of `{}` is {}, input `{}` takes {}", field.name,
                                describe(field.sample), input.name, describe(input.type)));
  if (!converts(field.sample.dtype, input.type.dtype))
    throw UserError(field.place, fmt::format("`{}` holds {}, input `{}` takes {}", field.name,
                                             name_of(field.sample.dtype), input.name,
                                             name_of(input.type.dtype)));
}

// Leaves the split with the fields of these names, one for each input.
void select(Split& split, const std::vector<std::string>& names,
            std::span<const SampleInput> inputs, const std::string& place) {
  std::vector<Field> fields;
  for (size_t i = 0; i < names.size(); ++i) {
    const Field* field = find_field(split, names[i]);
    if (!field)
      throw UserError(place, fmt::format("its test split lacks `{}`", names[i]));
    fields.push_back(*field);
    fields.back().place = place;
    check_fit(fields.back(), inputs[i]);
  }
  split.fields = std::move(fields);
}

Dataset open_any(const std::string& spec, std::span<const SampleInput> inputs,
                 const std::string& label) {
  std::error_code ignored;
  bool arrays = spec.substr(0, spec.find(',')).ends_with(kNpy);
  if (!arrays && (spec.ends_with(".csv") || spec.ends_with(".tsv")))
    return open_csv(spec, inputs, label);
  if (!label.empty())
    throw UserError("", "a label column can be chosen in .csv and .tsv files only",
                    Fault::command_line);
  if (arrays)
    return open_npy_files(spec);
  if (spec == "fashion-mnist")
    return open_fashion_mnist();
  if (spec.ends_with(".npz"))
    return open_npz(spec);
  if (spec.ends_with(".txt"))
    return open_text(spec, inputs);
  if (fs::is_directory(spec, ignored))
    return open_directory(spec);
  UserError unknown(spec, "is not a data set");
  if (nearest_name(spec, std::array{"fashion-mnist"}) != "")
    throw unknown.with_help("did you mean `fashion-mnist`?");
  throw unknown.with_help(
      "a data set is `fashion-mnist`, a directory with MNIST's IDX files or with .npy files, an "
      ".npz, "
      ".csv, .tsv or .txt file, or a list of .npy files: x.npy,y.npy");
}

}  // namespace

void Field::copy(std::span<const int64_t> samples, DType dtype, std::span<std::byte> to) const {
  auto element = static_cast<size_t>(byte_size(sample.dtype));
  auto sample_bytes = static_cast<size_t>(sample.bytes());
  size_t step = to.size() / std::max<size_t>(samples.size(), 1);
  double divisor = sample.dtype == DType::u8 && is_float(dtype) ? kWhite : 1;
  for (size_t i = 0; i < samples.size(); ++i) {
    auto begin = static_cast<size_t>(offset + samples[i] * stride) * element;
    GRADC_CHECK(begin + sample_bytes <= data.bytes.size(), "sample {} of `{}`", samples[i], name);
    auto from = data.bytes.subspan(begin, sample_bytes);
    try {
      convert_elements(sample.dtype, from, dtype, to.subspan(i * step, step), divisor);
    } catch (const UserError& error) {
      throw UserError(place,
                      fmt::format("sample {} of `{}`: {}", samples[i], name, error.message()));
    }
  }
}

Field field_of(const std::string& name, const Type& array, SharedBytes data) {
  Field field;
  field.name = name;
  field.sample = {array.dtype, Dims(array.dims.begin() + 1, array.dims.end())};
  field.stride = field.sample.elements();
  field.data = std::move(data);
  return field;
}

Dataset open_dataset(const std::string& spec, std::span<const SampleInput> inputs,
                     const DatasetOptions& options) {
  Dataset dataset = open_any(spec, inputs, options.label);
  dataset.name = spec;
  if (dataset.train.count == 0)
    throw UserError(spec, "has no samples to train on");
  std::vector<std::string> names = choose_fields(dataset.train, inputs, spec);
  select(dataset.train, names, inputs, spec);
  if (!options.test.empty())
    dataset.test = open_dataset(options.test, inputs, {options.label, ""}).train;
  else if (dataset.test.count > 0)
    select(dataset.test, names, inputs, spec);
  return dataset;
}

}  // namespace gradc
