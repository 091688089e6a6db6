// Einsum: products of tensors whose axes have letters, summed over those that the result lacks.
#include <algorithm>
#include <map>

#include "compiler/import/onnx/names.h"
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

// What `...` stands for has figures for letters.
bool is_figure(char letter) {
  return letter >= '0' && letter <= '9';
}

void check_letters(const std::string& term) {
  for (char letter : term) {
    bool known =
        (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || letter == '.';
    if (!known)
      fail("`{}` of the equation must be letters and `...`", readable(term));
  }
}

// A term with `...` as one dot.
std::string with_one_dot(std::string term) {
  check_letters(term);
  size_t at = term.find("...");
  if (std::ranges::count(term, '.') != (at == std::string::npos ? 0 : 3))
    fail("`{}` of the equation has dots that are not `...`", term);
  if (at != std::string::npos)
    term.replace(at, 3, ".");
  return term;
}

// Without "->" the result has what `...` stands for, then the letters that are there once.
std::string implied_result(const std::vector<std::string>& terms) {
  std::map<char, int> counts;  // figures come first
  for (const std::string& term : terms)
    for (char letter : term)
      ++counts[letter];
  std::string result;
  for (auto [letter, count] : counts)
    if (count == 1 || is_figure(letter))
      result += letter;
  return result;
}

// Puts figures in place of the dot: a term's are the last of all.
void name_dots(NodeContext& c, std::vector<std::string>& terms, std::string* result) {
  int64_t most = 0;
  auto count = [&](size_t i) { return c.rank(i) - static_cast<int64_t>(terms[i].size()) + 1; };
  for (size_t i = 0; i < terms.size(); ++i)
    if (has_letter(terms[i], '.'))
      most = std::max(most, count(i));
  if (most > 10)
    fail("`...` stands for {} axes, it may for 10", most);
  std::string figures = std::string("0123456789").substr(0, static_cast<size_t>(most));
  for (size_t i = 0; i < terms.size(); ++i)
    if (size_t at = terms[i].find('.'); at != std::string::npos) {
      if (count(i) < 0)
        fail("`{}` of the equation is no name for {}", terms[i].replace(at, 1, "..."),
             to_string(c.type(i)));
      terms[i].replace(at, 1, figures.substr(static_cast<size_t>(most - count(i))));
    }
  if (!result)
    return;
  if (size_t at = result->find('.'); at != std::string::npos)
    result->replace(at, 1, figures);
}

Equation parse_equation(NodeContext& c) {
  std::string text = c.text("equation", "");
  std::erase(text, ' ');
  Equation equation;
  size_t arrow = text.find("->");
  std::string left = text.substr(0, arrow);
  for (size_t at = 0; at <= left.size();) {
    size_t comma = std::min(left.find(',', at), left.size());
    equation.terms.push_back(with_one_dot(left.substr(at, comma - at)));
    at = comma + 1;
  }
  if (equation.terms.size() != c.input_count())
    fail("the equation has {} terms for {} inputs", equation.terms.size(), c.input_count());
  if (arrow == std::string::npos) {
    name_dots(c, equation.terms, nullptr);
    equation.result = implied_result(equation.terms);
    return equation;
  }
  equation.result = with_one_dot(text.substr(arrow + 2));
  name_dots(c, equation.terms, &equation.result);
  for (size_t i = 0; i < equation.result.size(); ++i) {
    char letter = equation.result[i];
    bool known = std::ranges::any_of(
        equation.terms, [&](const std::string& term) { return has_letter(term, letter); });
    if (!known)
      fail("letter `{}` of the result is in no term of `{}`", letter, readable(text));
    if (equation.result.find(letter) != i)
      fail("letter `{}` is twice in the result of `{}`", letter, readable(text));
  }
  return equation;
}

// The size of each letter. An axis of `...` may have size 1, which any other repeats.
std::map<char, int64_t> sizes_of_letters(NodeContext& c, const Equation& equation) {
  std::map<char, int64_t> sizes;
  for (size_t i = 0; i < equation.terms.size(); ++i) {
    const std::string& term = equation.terms[i];
    Dims dims = c.dims(i);
    if (term.size() != dims.size() || c.dtype(i) != c.dtype(0))
      fail("`{}` of the equation is no name for {}", term, to_string(c.type(i)));
    for (size_t axis = 0; axis < dims.size(); ++axis) {
      int64_t& size = sizes.emplace(term[axis], dims[axis]).first->second;
      if (is_figure(term[axis]) && size == 1)
        size = dims[axis];
      if (size != dims[axis] && !(is_figure(term[axis]) && dims[axis] == 1))
        fail("letter `{}` has sizes {} and {}", term[axis], size, dims[axis]);
    }
  }
  return sizes;
}

// Without the axes of size 1 that another term repeats.
Lettered without_repeated(NodeContext& c, const Lettered& x, const std::map<char, int64_t>& sizes) {
  Lettered y{x.value, ""};
  Dims dims = c.b.dims(x.value), kept;
  for (size_t i = 0; i < dims.size(); ++i)
    if (dims[i] == sizes.at(x.letters[i])) {
      y.letters += x.letters[i];
      kept.push_back(dims[i]);
    }
  y.value = c.b.reshape(x.value, kept);
  return y;
}

// The diagonal of axes of one letter: of n x n elements row by row, every (n + 1)th.
Lettered diagonal(NodeContext& c, const Lettered& x) {
  for (size_t i = 0; i < x.letters.size(); ++i) {
    size_t twin = x.letters.find(x.letters[i], i + 1);
    if (twin == std::string::npos)
      continue;
    std::vector<int64_t> order{static_cast<int64_t>(i), static_cast<int64_t>(twin)};
    std::string rest;
    Dims dims = c.b.dims(x.value), kept{dims[i]}, whole{dims[i] * dims[i]};
    for (size_t axis = 0; axis < dims.size(); ++axis)
      if (axis != i && axis != twin) {
        order.push_back(static_cast<int64_t>(axis));
        rest += x.letters[axis];
        kept.push_back(dims[axis]);
        whole.push_back(dims[axis]);
      }
    Dims step(whole.size(), 1);
    step[0] = dims[i] + 1;
    ValueId rows = c.b.reshape(c.b.transpose(x.value, order), whole);
    ValueId found = c.b.op(Opcode::slice, {rows},
                           {{"begin", Dims(whole.size(), 0)}, {"end", whole}, {"step", step}});
    return diagonal(c, {c.b.reshape(found, kept), x.letters[i] + rest});
  }
  return x;
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
  Equation equation = parse_equation(c);
  std::map<char, int64_t> sizes = sizes_of_letters(c, equation);
  Lettered all;
  for (size_t i = 0; i < equation.terms.size(); ++i) {
    std::string later = equation.result;
    for (size_t j = i + 1; j < equation.terms.size(); ++j)
      later += equation.terms[j];
    Lettered term = without_repeated(c, {c.tensor(i), equation.terms[i]}, sizes);
    term = summed(c, diagonal(c, term), later + all.letters);
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
