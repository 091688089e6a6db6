#pragma once
// Data sets as the training loop sees them: fields with a value per sample, split into train and
// test.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ir/shared_bytes.h"
#include "ir/type.h"

namespace gradc {

// A column of a data set. Sample i begins `offset + i * stride` elements into `data`; samples
// overlap where the stride is smaller than a sample, as windows of a text do.
struct Field {
  std::string name, place;  // and where it is from, for errors
  Type sample;  // of one sample: u8[28,28]
  SharedBytes data;
  int64_t offset = 0, stride = 0;

  // Writes samples to consecutive places as elements of `dtype`. Bytes that become floats are taken
  // for pixels and scaled to [0, 1]. `to` has room for exactly these samples. Fails if a value does
  // not fit.
  void copy(std::span<const int64_t> samples, DType dtype, std::span<std::byte> to) const;
};

struct Split {
  int64_t count = 0;
  std::vector<Field> fields;  // one for each input that was asked for, in their order
};

struct Dataset {
  std::string name;
  Split train, test;  // test may be empty
};

// What a model takes, one entry per input that data are for: its name and its type without the
// batch.
struct SampleInput {
  std::string name;
  Type type;
};

struct DatasetOptions {
  std::string label;  // of a .csv file: name or number of the column for the last input; or ""
  std::string test;  // what the test split is made of, opened like the training data; or ""
};

// Opens what `--data` names, and fits its fields to the model's inputs:
//   fashion-mnist    Debian's package dataset-fashion-mnist
//   a directory      with MNIST's four IDX files, each plain or .gz: fields image and label
//   F.npz            arrays with one sample per entry of the first dimension; `_train` and `_test`
//   at the end
//                    of a name (or `train_`, `test_` at its beginning) are the splits, else all is
//                    for training
//   X.npy,Y.npy      one array per input, not read but mapped; a directory of .npy files is like an
//                    .npz file
//   F.csv, F.tsv     rows of numbers; csv_dataset.h says which columns become which input
//   F.txt            bytes in windows: the first input takes T bytes, the second the T bytes after
//   the
//                    first of them (or the one byte after the window); the last tenth of the text
//                    is for testing
// Fields go to inputs of their names, or else in order. Numbers of elements must agree, shapes need
// not.
Dataset open_dataset(const std::string& spec, std::span<const SampleInput> inputs,
                     const DatasetOptions& options = {});

// One sample per entry of the first dimension of the array that `data` holds.
Field field_of(const std::string& name, const Type& array, SharedBytes data);

}  // namespace gradc
