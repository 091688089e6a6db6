#pragma once
// What keeps a model from being taken: an error that `gradc check` lists beside others.
#include <string>
#include <string_view>

#include "compiler/import/onnx/coverage.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {

struct Problem {
  enum class Kind : uint8_t {
    op,  // no row for it, or none of its version
    type,  // of elements, or no tensor at all
    value,  // something must be known at compile time
    gradient,  // training only
    other  // an attribute, a shape, a name: the message says it
  };
  Kind kind = Kind::other;
  std::string place;  // `model.onnx: node "/fc1/Gemm" (#12, Gemm)`, or of an input, ...
  std::string node, op;  // the node's name and op; "" where it is none
  std::string message;
  std::string cure;  // the nearest one; "" where none is known
};
std::string_view name_of(Problem::Kind kind);

// The nearest cure for an op that is none of ours; "" where none is known.
std::string cure_of_op(const std::string& op, const std::string& domain);

Problem problem_of(const UserError& error);
Problem problem_of(const Gap& gap);
// An error of a node with these gaps.
Problem problem_of(const UserError& error, const Node& node, const std::vector<Gap>& gaps);

}  // namespace gradc::onnx
