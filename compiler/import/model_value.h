#pragma once
// What an expression of the model language is while a module is built: a tensor of the function
// under construction, or something known at compile time.
#include <string>
#include <variant>
#include <vector>

#include "compiler/import/model_source.h"
#include "ir/module.h"

namespace gradc::model_text {

struct None {};

// A value of the function at nesting `level`: 0 is the entry, 1 the body of a scan in it, ...
struct TensorRef {
  ValueId id;
  int level = 0;
};

struct FunctionDecl;

// A function of the language (`decl`), a builtin or an op, named where a value is expected.
struct FunctionRef {
  std::string name;
  const FunctionDecl* decl = nullptr;
  bool op = false;  // written `op.NAME`
};

// How a parameter or state begins; see model_init.h.
struct Initializer {
  std::string name;
  double scale = 0;  // the constant, standard deviation, bound or gain
  int64_t fan_in = 0;  // 0: from the shape
};

struct Value;
using List = std::vector<Value>;

struct Value {
  std::variant<None, bool, int64_t, double, std::string, DType, TensorRef, FunctionRef, Initializer,
               List>
      data;

  template <typename T>
  const T* get() const {
    return std::get_if<T>(&data);
  }
  bool is_none() const { return get<None>(); }
  bool is_number() const { return get<int64_t>() || get<double>(); }
  double number() const { return get<int64_t>() ? double(*get<int64_t>()) : *get<double>(); }
};

// For messages: "a list", "the number 3", "a tensor".
std::string describe(const Value& value);

// The list as a value, if it is not too long and too deep; and the number of values in a value.
Value list_value(List items);
size_t weight(const Value& value);

// Conversions that fail with `what` in the message.
int64_t whole_number(const Value& value, std::string_view what);
double real_number(const Value& value, std::string_view what);
bool truth(const Value& value, std::string_view what);
const std::string& text(const Value& value, std::string_view what);
std::vector<int64_t> whole_numbers(const Value& value, std::string_view what);
// A list of sizes of at least 1 with a sane product.
Dims shape(const Value& value, std::string_view what);
void check_size(const Dims& dims);

}  // namespace gradc::model_text
