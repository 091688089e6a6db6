#include "compiler/import/onnx/problem.h"

namespace gradc::onnx {
namespace {

struct Cure {
  std::string_view op, text;
};

// Of ops that are none of ours, by the beginning of their name.
constexpr Cure kCures[] = {
    {"DequantizeLinear", "export the model before it is quantized"},
    {"DynamicQuantizeLinear", "export the model before it is quantized"},
    {"Loop",
     "fix the number of rounds, so that the exporter unrolls them; simplifying the file folds "
     "loops over known values; of an EmbeddingBag, write an Embedding and its sum or mean"},
    {"NonMaxSuppression", "cut the model in front of its post-processing"},
    {"NonZero", "its shape depends on values; simplifying the file folds it where they are known"},
    {"QLinear", "export the model before it is quantized"},
    {"QuantizeLinear", "export the model before it is quantized"},
    {"Scan", "fix the length, so that the exporter unrolls it"},
    {"SequenceMap", "export without it: a function over the parts of a sequence"},
    {"Unique", "its shape depends on values; simplifying the file folds it where they are known"},
};

// The error's `help:` lines.
std::string help_of(const UserError& error) {
  constexpr std::string_view kHelp = "\nhelp: ";
  std::string_view text = error.what();
  size_t begin = text.find(kHelp);
  return begin == std::string_view::npos ? "" : std::string(text.substr(begin + kHelp.size()));
}

Problem::Kind kind_of(Gap::Kind kind) {
  return kind == Gap::Kind::op ? Problem::Kind::op : Problem::Kind::type;
}

}  // namespace

std::string cure_of_op(const std::string& op, const std::string& domain) {
  if (domain == "com.microsoft")
    return "save the model before ONNX Runtime fuses ops: optimization level basic or less";
  if (domain.starts_with("org.pytorch"))
    return "export with a newer opset, where the op is a standard one";
  if (!domain.empty())
    return "put the op's definition into the file, as a function of ONNX";
  for (const Cure& cure : kCures)
    if (op.starts_with(cure.op))
      return std::string(cure.text);
  return "";
}

std::string_view name_of(Problem::Kind kind) {
  switch (kind) {
    case Problem::Kind::op:
      return "op";
    case Problem::Kind::type:
      return "type";
    case Problem::Kind::value:
      return "value";
    case Problem::Kind::gradient:
      return "gradient";
    case Problem::Kind::other:
      break;
  }
  return "other";
}

Problem problem_of(const UserError& error) {
  Problem problem{Problem::Kind::other, error.place(), "", "", error.message(), help_of(error)};
  if (error.message().find(kMustBeKnown) != std::string::npos)
    problem.kind = Problem::Kind::value;
  return problem;
}

Problem problem_of(const Gap& gap) {
  return {kind_of(gap.kind), gap.place,
          gap.node,          gap.op,
          gap.message,       gap.kind == Gap::Kind::op ? cure_of_op(gap.op, gap.domain) : ""};
}

Problem problem_of(const UserError& error, const Node& node, const std::vector<Gap>& gaps) {
  Problem problem = problem_of(error);
  problem.node = node.name;
  problem.op = node.op_type;
  if (!gaps.empty() && problem.kind == Problem::Kind::other)
    problem.kind = kind_of(gaps.front().kind);
  if (problem.kind == Problem::Kind::op && problem.cure.empty())
    problem.cure = cure_of_op(node.op_type, node.domain);
  return problem;
}

}  // namespace gradc::onnx
