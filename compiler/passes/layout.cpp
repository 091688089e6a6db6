#include "compiler/passes/layout.h"

#include <algorithm>
#include <span>

#include "compiler/passes/layout_rules.h"
#include "ir/op_def.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

// Rewrites one function. A value of the old function has one form at first, the one it is computed
// in; the other is made where it is asked for.
class LayoutRewrite {
 public:
  explicit LayoutRewrite(const Function& from)
      : from_(from),
        definitions_(defining_ops(from)),
        rewrite_(from),
        last_(from.values.size()),
        made_last_(from.values.size()) {}

  Function run() {
    for (const Op& op : from_.ops) {
      rewrite_.at(op);
      if (image_op(op) && !op.attrs.flag("channels_last") && wants_channels_last(from_, op))
        convolve(op);
      else if (std::optional<Attrs> attrs = follows(op))
        emit(op, *attrs, images_of(op), gives_image(op));
      else
        copy(op);
    }
    for (const Result& result : from_.results)
      first(result.value);
    return rewrite_.finish();
  }

 private:
  ValueId first(ValueId value) {
    if (!rewrite_.mapped(value)) {
      int64_t rank = from_.type(value).rank();
      rewrite_.map(value, moved(last_[value.index], channels_first_order(rank), value));
    }
    return rewrite_(value);
  }

  ValueId last(ValueId value) {
    if (!last_[value.index].valid()) {
      int64_t rank = from_.type(value).rank();
      last_[value.index] = moved(rewrite_(value), channels_last_order(rank), value);
    }
    return last_[value.index];
  }

  ValueId moved(ValueId value, const std::vector<int64_t>& order, ValueId named) {
    ValueId result = rewrite_.builder().transpose(value, order);
    rewrite_.builder().set_name(result, from_[named].name);
    return result;
  }

  // The attributes of an op that does as well on images that are channels last.
  std::optional<Attrs> follows(const Op& op) const {
    auto images = std::span(op.operands).first(images_of(op));
    if (std::ranges::none_of(images, [&](ValueId operand) { return made_last_[operand.index]; }) &&
        !(op.code == Opcode::gather && is_list_of_pixels(op.operand(0))))
      return std::nullopt;
    return channels_last_attrs(from_, op);
  }

  // Whether a value is an image whose pixels lie one after the other in what it is made of, as a
  // product leaves them: its other form is that list.
  bool is_list_of_pixels(ValueId value) const {
    const Op* image = producer(value, Opcode::reshape);
    const Op* moved = image ? producer(image->operand(0), Opcode::transpose) : nullptr;
    if (!moved)
      return false;
    const Dims &from = from_.type(moved->result()).dims, &to = from_.type(value).dims;
    return moved->attrs.integers("permutation") ==
               channels_first_order(static_cast<int64_t>(from.size())) &&
           from.size() > 2 && to.size() > 2 && from[0] == to[0] && from[1] == to[1];
  }

  const Op* producer(ValueId value, Opcode code) const {
    std::optional<OpId> op = definitions_[value.index];
    return op && from_.ops[op->index].code == code ? &from_.ops[op->index] : nullptr;
  }

  // On channels-last forms of the first `images` operands.
  void emit(const Op& op, const Attrs& attrs, size_t images, bool result_is_image) {
    std::vector<ValueId> operands;
    for (size_t i = 0; i < op.operands.size(); ++i)
      operands.push_back(i < images ? last(op.operand(i)) : first(op.operand(i)));
    ValueId result = rewrite_.builder().op(op.code, operands, attrs, from_[op.result()].name);
    // Of two axes both orders are one.
    made_last_[op.result().index] = result_is_image && from_.type(op.result()).rank() > 2;
    if (made_last_[op.result().index])
      last_[op.result().index] = result;
    else
      rewrite_.map(op.result(), result);
  }

  void convolve(const Op& op) {
    ImageOp images = *image_op(op);
    Attrs attrs = op.attrs;
    attrs.set("channels_last", true);
    emit(op, attrs, images.images, images.result_is_image);
  }

  void copy(const Op& op) {
    for (ValueId operand : op.operands)
      first(operand);
    rewrite_.copy(op);
  }

  const Function& from_;
  std::vector<std::optional<OpId>> definitions_;
  Rewrite rewrite_;
  // By old value: its channels-last form, and whether that is the form it is computed in.
  std::vector<ValueId> last_;
  std::vector<bool> made_last_;
};

}  // namespace

Module layout(const Module& module, const Options&) {
  Module result = module;
  for (Function& function : result.functions)
    if (function.kind != FunctionKind::kernel)
      function = LayoutRewrite(function).run();
  return result;
}

}  // namespace gradc
