#include "compiler/kernel_check.h"

#include <algorithm>

#include "compiler/kernel.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

constexpr AttrDef kAttributes[] = {{"class", AttrKind::string},
                                   {"axes", AttrKind::integers, false},
                                   {"domain", AttrKind::integers, false},
                                   {"inplace", AttrKind::integers, false},
                                   {"recipe_of", AttrKind::string, false},
                                   {"gives", AttrKind::integer, false},
                                   {"takes", AttrKind::integers, false},
                                   {"rounds", AttrKind::boolean, false},
                                   {"workspace", AttrKind::integer, false},
                                   {"scratch", AttrKind::integer, false}};

class KernelCheck {
 public:
  KernelCheck(const Module& module, const Function& kernel) : module_(module), kernel_(kernel) {}

  void run() {
    check_not_empty(kernel_);
    if (kernel_.results.empty())
      bad("it has no result");
    check_attributes();
    check_in_place();
    check_recipe();
    std::string_view name = kernel_class(kernel_);
    if (name == name_of(KernelClass::map))
      map();
    else if (name == name_of(KernelClass::reduce))
      reduce();
    else if (name == name_of(KernelClass::contract))
      contract();
    else if (name == name_of(KernelClass::custom))
      custom();
    else
      bad("its class is `{}`; the classes are map, reduce, contract and custom", name);
  }

 private:
  template <typename... Args>
  [[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) const {
    fail("kernel @{}: {}", kernel_.name, fmt::format(format, std::forward<Args>(args)...));
  }

  void check_attributes() const {
    for (const AttrDef& attribute : kAttributes) {
      const Attr* found = kernel_.attrs.find(attribute.key);
      if (!found && attribute.required)
        bad("it lacks the attribute `{}`", attribute.key);
      if (found && static_cast<size_t>(attribute.kind) != found->index())
        bad("its attribute `{}` is {}, expected {}", attribute.key,
            name_of(static_cast<AttrKind>(found->index())), name_of(attribute.kind));
    }
    for (std::string_view key : {"workspace", "scratch"})
      if (int64_t bytes = kernel_.attrs.integer_or(key, 0); bytes < 0 || bytes > kMaxElements)
        bad("its attribute `{}` is {} bytes", key, bytes);
  }

  void check_in_place() const {
    if (!kernel_.attrs.has("inplace"))
      return;
    if (size_t numbers = kernel_.attrs.integers("inplace").size(); numbers % 2 != 0)
      bad("`inplace` holds {} numbers; they are pairs of an operand and a result", numbers);
    // As unsigned numbers, negative ones are beyond all counts.
    for (auto [operand, result] : in_place_pairs(kernel_))
      if (operand >= kernel_.parameters.size() || result >= kernel_.results.size() ||
          kernel_.type(kernel_.parameters[operand].value).bytes() !=
              kernel_.type(kernel_.results[result].value).bytes())
        bad("`inplace` lets result {} have the bytes of operand {}, which it cannot",
            static_cast<int64_t>(result), static_cast<int64_t>(operand));
  }

  void check_recipe() const {
    bool recipe = kernel_.attrs.has("recipe_of");
    for (std::string_view key : {"gives", "takes"})
      if (kernel_.attrs.has(key) != recipe)
        bad("`recipe_of`, `gives` and `takes` come together");
    if (!recipe)
      return;
    const std::string& name = kernel_.attrs.string("recipe_of");
    const Function* other = module_.find_function(name);
    if (!other || other->kind != FunctionKind::kernel)
      bad("it is a recipe of @{}, which is no kernel", name);
    // As unsigned numbers, negative ones are beyond all counts.
    size_t operands = other->parameters.size();
    auto is = [&](const Type& type, int64_t number) {
      auto i = static_cast<size_t>(number);
      return i < operands + other->results.size() &&
             type == other->type(i < operands ? other->parameters[i].value
                                              : other->results[i - operands].value);
    };
    int64_t gives = kernel_.attrs.integer("gives");
    if (kernel_.results.size() != 1 || !is(kernel_.type(kernel_.results[0].value), gives))
      bad("its result cannot be number {} of @{}", gives, name);
    const std::vector<int64_t>& takes = kernel_.attrs.integers("takes");
    if (takes.size() != kernel_.parameters.size())
      bad("`takes` holds {} numbers for {} operands", takes.size(), kernel_.parameters.size());
    for (size_t i = 0; i < takes.size(); ++i)
      if (takes[i] == gives || !is(kernel_.type(kernel_.parameters[i].value), takes[i]))
        bad("its operand {} cannot be number {} of @{}", i, takes[i], name);
  }

  // The number of ops of a class; what is neither that, nor map, nor view is none of this kernel's.
  std::vector<const Op*> ops_of(KernelClass own) const {
    std::vector<const Op*> found;
    for (const Op& op : kernel_.ops) {
      KernelClass kind = def(op).kernel;
      if (kind == own)
        found.push_back(&op);
      else if (kind != KernelClass::map && kind != KernelClass::view)
        bad("`{}` is no op of a kernel of class {}", def(op).name, name_of(own));
    }
    return found;
  }

  void map() const {
    ops_of(KernelClass::map);
    const Dims& space = kernel_.type(kernel_.results[0].value).dims;
    for (const Result& result : kernel_.results)
      if (kernel_.type(result.value).dims != space)
        bad("its results are {} and {}; a map has one iteration space", to_string(space),
            to_string(kernel_.type(result.value).dims));
  }

  void reduce() const {
    for (std::string_view key : {"axes", "domain"})
      if (!kernel_.attrs.has(key))
        bad("it lacks the attribute `{}`", key);
    const Dims& domain = kernel_.attrs.integers("domain");
    const std::vector<int64_t>& axes = kernel_.attrs.integers("axes");
    std::vector<const Op*> folds = ops_of(KernelClass::reduce);
    std::vector<int64_t> others = other_axes(axes, static_cast<int64_t>(domain.size()));
    const Op* along = nullptr;
    for (const Op* fold : folds) {
      const std::vector<int64_t>& folded = fold->attrs.integers("axes");
      if (kernel_.type(fold->operand(0)).dims != domain || (folded != axes && folded != others))
        bad("`{}` giving %{} folds axes {} of {}, the kernel axes {} of {}", def(*fold).name,
            kernel_[fold->result()].name, to_string(folded),
            to_string(kernel_.type(fold->operand(0)).dims), to_string(axes), to_string(domain));
      if (folded == axes)
        along = fold;
      else if (may_fold_across(domain, axes))
        check_across(*fold);
      else
        bad("`{}` giving %{} folds across rows that are few, or not each a run of memory",
            def(*fold).name, kernel_[fold->result()].name);
    }
    if (!along)
      bad("it is of class reduce and folds nothing along its rows");
    int64_t rows = kernel_.type(along->result()).elements();
    for (const Result& result : kernel_.results)
      if (const Type& type = kernel_.type(result.value);
          type.dims != domain && type.elements() != rows && !is_fold(folds, result.value))
        bad("its result {} has neither the domain's dims nor one element per row", to_string(type));
  }

  // What is folded across rows is known when all of them are done.
  void check_across(const Op& fold) const {
    for (const Op& op : kernel_.ops)
      if (std::ranges::count(op.operands, fold.result()) > 0)
        bad("%{}, which is folded across its rows, is read in it", kernel_[fold.result()].name);
    if (std::ranges::count(kernel_.results, fold.result(), &Result::value) != 1)
      bad("%{}, which is folded across its rows, is no result", kernel_[fold.result()].name);
  }

  static bool is_fold(const std::vector<const Op*>& folds, ValueId value) {
    return std::ranges::any_of(folds, [&](const Op* fold) { return fold->result() == value; });
  }

  void contract() const {
    std::vector<const Op*> contractions = ops_of(KernelClass::contract);
    if (contractions.size() != 1)
      bad("it is of class contract and has {} ops of that class", contractions.size());
    int64_t elements = kernel_.type(contractions[0]->result()).elements();
    for (const Result& result : kernel_.results)
      if (kernel_.type(result.value).elements() != elements)
        bad("its result {} has not as many elements as that of `{}`",
            to_string(kernel_.type(result.value)), def(*contractions[0]).name);
  }

  void custom() const {
    if (kernel_.ops.size() != 1 || def(kernel_.ops[0]).kernel != KernelClass::custom)
      bad("a kernel of class custom is one op of that class");
  }

  const Module& module_;
  const Function& kernel_;
};

}  // namespace

void check_not_empty(const Function& function) {
  auto check = [&](ValueId value) {
    if (function.type(value).elements() == 0)
      fail("@{}: %{} is {}; nothing can be computed from or into tensors without elements",
           function.name, function[value].name, to_string(function.type(value)));
  };
  if (function.kind == FunctionKind::kernel)
    for (const Parameter& parameter : function.parameters)
      check(parameter.value);
  for (const Op& op : function.ops) {
    for (ValueId operand : op.operands)
      check(operand);
    bool makes_nothing = op.operands.empty() && op.results.size() == 1;
    for (ValueId result : op.results)
      if (!makes_nothing)
        check(result);
  }
}

void check_kernels(const Module& module) {
  for (const Function& function : module.functions)
    if (function.kind == FunctionKind::kernel)
      KernelCheck(module, function).run();
}

}  // namespace gradc
