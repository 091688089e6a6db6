// Einsum: products of tensors whose axes have letters, summed over those that the result lacks.
#include <algorithm>
#include <map>

#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

// A tensor and the letter of each of its axes.
struct Lettered {
  ValueId value;
  std::string letters;
};

struct Equation {
  std::vector<std::string> terms;
  std::string result;
};

bool has_letter(const std::string& letters, char letter) {
  return letters.find(letter) != std::string::npos;
}

void check_letters(const std::string& term) {
  for (size_t i = 0; i < term.size(); ++i) {
    bool letter = (term[i] >= 'a' && term[i] <= 'z') || (term[i] >= 'A' && term[i] <= 'Z');
    if (!letter)
      fail("`{}` of the equation must be letters; others, `...` too, are not supported", term);
    if (term.find(term[i]) != i)
      fail("`{}` of the equation has `{}` twice, which is not supported", term, term[i]);
  }
}

// Without "->" the result has the letters that one term alone has, in order.
std::string implied_result(const std::vector<std::string>& terms) {
  std::map<char, int> counts;
  for (const std::string& term : terms)
    for (char letter : term)
      ++counts[letter];
  std::string result;
  for (auto [letter, count] : counts)
    if (count == 1)
      result += letter;
  return result;
}

Equation parse_equation(std::string text) {
  std::erase(text, ' ');
  Equation equation;
  size_t arrow = text.find("->");
  std::string left = text.substr(0, arrow);
  for (size_t at = 0; at <= left.size();) {
    size_t comma = std::min(left.find(',', at), left.size());
    equation.terms.push_back(left.substr(at, comma - at));
    check_letters(equation.terms.back());
    at = comma + 1;
  }
  equation.result =
      arrow == std::string::npos ? implied_result(equation.terms) : text.substr(arrow + 2);
  check_letters(equation.result);
  for (char letter : equation.result)
    if (!has_letter(left, letter))
      fail("letter `{}` of the result is in no term of `{}`", letter, text);
  return equation;
}

void check_sizes_of_letters(NodeContext& c, const Equation& equation) {
  if (equation.terms.size() != c.input_count())
    fail("the equation has {} terms for {} inputs", equation.terms.size(), c.input_count());
  std::map<char, int64_t> sizes;
  for (size_t i = 0; i < equation.terms.size(); ++i) {
    const std::string& term = equation.terms[i];
    Dims dims = c.dims(i);
    if (term.size() != dims.size() || c.dtype(i) != c.dtype(0))
      fail("`{}` of the equation is no name for {}", term, to_string(c.type(i)));
    for (size_t axis = 0; axis < dims.size(); ++axis)
      if (int64_t size = sizes.emplace(term[axis], dims[axis]).first->second; size != dims[axis])
        fail("letter `{}` has sizes {} and {}", term[axis], size, dims[axis]);
  }
}

// Sums over the axes whose letters nobody needs any more.
Lettered summed(NodeContext& c, const Lettered& x, const std::string& needed) {
  Lettered y{x.value, ""};
  std::vector<int64_t> axes;
  for (size_t i = 0; i < x.letters.size(); ++i)
    if (has_letter(needed, x.letters[i]))
      y.letters += x.letters[i];
    else
      axes.push_back(static_cast<int64_t>(i));
  if (!axes.empty())
    y.value = c.b.reduce_sum(x.value, axes);
  return y;
}

// The axes in this order of letters, which may be a selection of it.
Lettered ordered(NodeContext& c, const Lettered& x, const std::string& order) {
  Lettered y{x.value, ""};
  std::vector<int64_t> permutation;
  for (char letter : order)
    if (has_letter(x.letters, letter)) {
      y.letters += letter;
      permutation.push_back(static_cast<int64_t>(x.letters.find(letter)));
    }
  if (y.letters != x.letters)
    y.value = c.b.transpose(x.value, permutation);
  return y;
}

// Repeats x, whose letters are some of `letters` in their order, along the others.
ValueId spread(NodeContext& c, const Lettered& x, const std::string& letters, const Dims& dims) {
  std::vector<int64_t> axes;
  for (char letter : x.letters)
    axes.push_back(static_cast<int64_t>(letters.find(letter)));
  return x.letters == letters ? x.value : c.b.broadcast(x.value, axes, dims);
}

// The product of two, summed over what they share and nobody needs: one dot where there is such.
Lettered product(NodeContext& c, const Lettered& x, const Lettered& y, const std::string& needed) {
  std::string batch, rest_x, rest_y;
  std::vector<int64_t> batch_x, batch_y, sum_x, sum_y;
  for (size_t i = 0; i < x.letters.size(); ++i) {
    char letter = x.letters[i];
    if (!has_letter(y.letters, letter)) {
      rest_x += letter;
      continue;
    }
    bool kept = has_letter(needed, letter);
    batch += kept ? std::string(1, letter) : "";
    (kept ? batch_x : sum_x).push_back(static_cast<int64_t>(i));
    (kept ? batch_y : sum_y).push_back(static_cast<int64_t>(y.letters.find(letter)));
  }
  for (char letter : y.letters)
    if (!has_letter(x.letters, letter))
      rest_y += letter;
  std::string letters = batch + rest_x + rest_y;
  if (!sum_x.empty())
    return {
        c.b.op(Opcode::dot, {x.value, y.value},
               {{"batch_a", batch_x}, {"batch_b", batch_y}, {"sum_a", sum_x}, {"sum_b", sum_y}}),
        letters};
  Dims dims;
  for (char letter : letters) {
    const Lettered& from = has_letter(x.letters, letter) ? x : y;
    dims.push_back(c.b.dims(from.value)[from.letters.find(letter)]);
  }
  ValueId wide_x = spread(c, ordered(c, x, letters), letters, dims);
  return {c.b.mul(wide_x, spread(c, ordered(c, y, letters), letters, dims)), letters};
}

// From left to right, each term as soon as it comes.
void einsum_node(NodeContext& c) {
  Equation equation = parse_equation(c.text("equation", ""));
  check_sizes_of_letters(c, equation);
  Lettered all;
  for (size_t i = 0; i < equation.terms.size(); ++i) {
    std::string later = equation.result;
    for (size_t j = i + 1; j < equation.terms.size(); ++j)
      later += equation.terms[j];
    Lettered term = summed(c, {c.tensor(i), equation.terms[i]}, later + all.letters);
    all = i == 0 ? term : product(c, all, term, later);
  }
  c.result(ordered(c, all, equation.result).value);
}

constexpr NodeRule kRules[] = {
    {.op = "Einsum", .since = 12, .build = einsum_node, .weights = input_set({0, 1})},
};

}  // namespace

std::span<const NodeRule> einsum_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
