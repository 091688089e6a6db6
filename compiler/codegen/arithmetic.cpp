#include "compiler/codegen/arithmetic.h"

#include <llvm/IR/PatternMatch.h>

#include <limits>

#include "compiler/codegen/vector_math.h"
#include "ir/diagnostic.h"

namespace gradc::codegen {
namespace {

using llvm::Value;
using loop::Code;

bool is_unsigned(DType dtype) {
  return dtype == DType::u8 || dtype == DType::boolean;
}

int bits_of(DType dtype) {
  return dtype == DType::boolean ? 1 : static_cast<int>(8 * byte_size(dtype));
}

Value* as_integer(llvm::IRBuilder<>& b, Value* x, int bits) {
  return b.CreateBitCast(x, x->getType()->getWithNewType(b.getIntNTy(static_cast<unsigned>(bits))));
}

// The upper half of an f32 value, rounded to nearest even; NaN stays NaN.
Value* round_to_bf16_bits(llvm::IRBuilder<>& b, Value* x) {
  Value* bits = as_integer(b, x, 32);
  llvm::Type* type = bits->getType();
  auto number = [&](uint64_t value) { return llvm::ConstantInt::get(type, value); };
  Value* odd = b.CreateAnd(b.CreateLShr(bits, 16), number(1));
  Value* rounded = b.CreateAdd(bits, b.CreateAdd(odd, number(0x7fff)));
  Value* quiet = b.CreateOr(bits, number(0x400000));
  return b.CreateLShr(b.CreateSelect(b.CreateFCmpUNO(x, x), quiet, rounded), 16);
}

// What from_memory widened, if x is that as it was: a copy rounds nothing.
Value* bf16_bits_of(Value* x) {
  using namespace llvm::PatternMatch;
  Value* bits = nullptr;
  bool widened = match(x, m_BitCast(m_Shl(m_ZExt(m_Value(bits)), m_SpecificInt(16))));
  return widened && bits->getType()->getScalarSizeInBits() == 16 ? bits : nullptr;
}

// Rounds an f32 value to what f16 or bf16 can hold.
Value* rounded_to(llvm::IRBuilder<>& b, DType dtype, Value* x) {
  return from_memory(b, dtype, to_memory(b, dtype, x));
}

// NaN if one is. A constant that is a number comes first, then one comparison does.
Value* extremum(llvm::IRBuilder<>& b, Code code, Value* x, Value* y) {
  if (llvm::isa<llvm::Constant>(y))
    std::swap(x, y);
  Value* first = code == Code::max ? b.CreateFCmpOGT(x, y) : b.CreateFCmpOLT(x, y);
  Value* result = b.CreateSelect(first, x, y);
  if (llvm::isa<llvm::Constant>(x))
    return result;
  return b.CreateSelect(b.CreateFCmpUNO(x, x), x, result);
}

// Division by zero must not trap in a lane that nobody asked for: it gives x / 1 and x % 1.
Value* divide(llvm::IRBuilder<>& b, Code code, bool no_sign, Value* x, Value* y) {
  if (!llvm::isa<llvm::Constant>(y)) {
    Value* zero = llvm::Constant::getNullValue(y->getType());
    Value* traps = b.CreateICmpEQ(y, zero);
    if (!no_sign)
      traps = b.CreateOr(traps, b.CreateICmpEQ(y, llvm::Constant::getAllOnesValue(y->getType())));
    Value* one = llvm::ConstantInt::get(y->getType(), 1);
    // x / -1 = -x, which wraps for the least number.
    Value* safe = b.CreateSelect(traps, one, y);
    Value* result = no_sign ? (code == Code::div ? b.CreateUDiv(x, safe) : b.CreateURem(x, safe))
                            : (code == Code::div ? b.CreateSDiv(x, safe) : b.CreateSRem(x, safe));
    if (no_sign || code == Code::rem)
      return result;
    return b.CreateSelect(b.CreateICmpSLT(y, zero), b.CreateSelect(traps, b.CreateNeg(x), result),
                          result);
  }
  if (code == Code::div)
    return no_sign ? b.CreateUDiv(x, y) : b.CreateSDiv(x, y);
  return no_sign ? b.CreateURem(x, y) : b.CreateSRem(x, y);
}

Value* integer_arithmetic(llvm::IRBuilder<>& b, Code code, bool no_sign,
                          std::span<Value* const> x) {
  switch (code) {
    case Code::add:
      return b.CreateAdd(x[0], x[1]);
    case Code::sub:
      return b.CreateSub(x[0], x[1]);
    case Code::mul:
      return b.CreateMul(x[0], x[1]);
    case Code::div:
    case Code::rem:
      return divide(b, code, no_sign, x[0], x[1]);
    case Code::fma:
      return b.CreateAdd(b.CreateMul(x[0], x[1]), x[2]);
    case Code::neg:
      return b.CreateNeg(x[0]);
    case Code::abs:
      return no_sign ? x[0] : b.CreateBinaryIntrinsic(llvm::Intrinsic::abs, x[0], b.getFalse());
    case Code::min:
      return b.CreateBinaryIntrinsic(no_sign ? llvm::Intrinsic::umin : llvm::Intrinsic::smin, x[0],
                                     x[1]);
    case Code::max:
    case Code::max_number:
      return b.CreateBinaryIntrinsic(no_sign ? llvm::Intrinsic::umax : llvm::Intrinsic::smax, x[0],
                                     x[1]);
    case Code::floor:
    case Code::ceil:
    case Code::round_even:
      return x[0];
    default:
      internal_error(__FILE__, __LINE__, "an instruction of integers", std::string(name_of(code)));
  }
}

Value* float_arithmetic(llvm::IRBuilder<>& b, Code code, std::span<Value* const> x) {
  switch (code) {
    case Code::add:
      return b.CreateFAdd(x[0], x[1]);
    case Code::sub:
      return b.CreateFSub(x[0], x[1]);
    case Code::mul:
      return b.CreateFMul(x[0], x[1]);
    case Code::div:
      return b.CreateFDiv(x[0], x[1]);
    case Code::rem:
      return b.CreateFRem(x[0], x[1]);
    case Code::fma:
      return b.CreateIntrinsic(llvm::Intrinsic::fma, {x[0]->getType()}, {x[0], x[1], x[2]});
    case Code::neg:
      return b.CreateFNeg(x[0]);
    case Code::abs:
      return b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x[0]);
    case Code::min:
    case Code::max:
      return extremum(b, code, x[0], x[1]);
    case Code::max_number:
      return b.CreateSelect(b.CreateFCmpOGT(x[1], x[0]), x[1], x[0]);
    case Code::sqrt:
      return b.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, x[0]);
    case Code::floor:
      return b.CreateUnaryIntrinsic(llvm::Intrinsic::floor, x[0]);
    case Code::ceil:
      return b.CreateUnaryIntrinsic(llvm::Intrinsic::ceil, x[0]);
    case Code::round_even:
      return b.CreateUnaryIntrinsic(llvm::Intrinsic::roundeven, x[0]);
    default:
      return emit_math(b, code, x);
  }
}

Value* compare(llvm::IRBuilder<>& b, Code code, DType dtype, Value* x, Value* y) {
  if (is_float(dtype))
    return code == Code::equal  ? b.CreateFCmpOEQ(x, y)
           : code == Code::less ? b.CreateFCmpOLT(x, y)
                                : b.CreateFCmpOLE(x, y);
  if (code == Code::equal)
    return b.CreateICmpEQ(x, y);
  if (is_unsigned(dtype))
    return code == Code::less ? b.CreateICmpULT(x, y) : b.CreateICmpULE(x, y);
  return code == Code::less ? b.CreateICmpSLT(x, y) : b.CreateICmpSLE(x, y);
}

Value* bit_arithmetic(llvm::IRBuilder<>& b, Code code, std::span<Value* const> x) {
  switch (code) {
    case Code::bit_and:
      return b.CreateAnd(x[0], x[1]);
    case Code::bit_or:
      return b.CreateOr(x[0], x[1]);
    case Code::bit_xor:
      return b.CreateXor(x[0], x[1]);
    case Code::bit_not:
      return b.CreateNot(x[0]);
    case Code::shift_left:
      return b.CreateShl(x[0], x[1]);
    case Code::shift_right:
      return b.CreateLShr(x[0], x[1]);
    case Code::mul_high: {
      llvm::Type* narrow = x[0]->getType();
      llvm::Type* wide = narrow->getWithNewType(b.getInt64Ty());
      Value* product = b.CreateMul(b.CreateZExt(x[0], wide), b.CreateZExt(x[1], wide));
      return b.CreateTrunc(b.CreateLShr(product, 32), narrow);
    }
    default:
      return nullptr;
  }
}

// Float to integer is toward zero; out of range gives the nearest number, NaN gives 0.
Value* convert(llvm::IRBuilder<>& b, DType from, DType to, Value* x) {
  llvm::Type* type = x->getType()->getWithNewType(register_type(b.getContext(), to));
  if (to == DType::boolean) {
    Value* zero = llvm::Constant::getNullValue(x->getType());
    return is_float(from) ? b.CreateFCmpUNE(x, zero) : b.CreateICmpNE(x, zero);
  }
  if (is_float(from) && is_float(to)) {
    Value* wide_or_same = bits_of(to) > 32     ? b.CreateFPExt(x, type)
                          : bits_of(from) > 32 ? b.CreateFPTrunc(x, type)
                                               : x;
    return bits_of(to) < 32 ? rounded_to(b, to, wide_or_same) : wide_or_same;
  }
  if (is_float(from))
    return b.CreateIntrinsic(
        is_unsigned(to) ? llvm::Intrinsic::fptoui_sat : llvm::Intrinsic::fptosi_sat,
        {type, x->getType()}, {x});
  if (is_float(to)) {
    Value* y = is_unsigned(from) ? b.CreateUIToFP(x, type) : b.CreateSIToFP(x, type);
    return bits_of(to) < 32 ? rounded_to(b, to, y) : y;
  }
  return is_unsigned(from) ? b.CreateZExtOrTrunc(x, type) : b.CreateSExtOrTrunc(x, type);
}

}  // namespace

llvm::Type* register_type(llvm::LLVMContext& context, DType dtype) {
  if (dtype == DType::f64)
    return llvm::Type::getDoubleTy(context);
  if (is_float(dtype))
    return llvm::Type::getFloatTy(context);
  return llvm::Type::getIntNTy(context, static_cast<unsigned>(bits_of(dtype)));
}

llvm::Type* memory_type(llvm::LLVMContext& context, DType dtype) {
  if (dtype == DType::f32 || dtype == DType::f64)
    return register_type(context, dtype);
  return llvm::Type::getIntNTy(context, static_cast<unsigned>(8 * byte_size(dtype)));
}

Value* from_memory(llvm::IRBuilder<>& b, DType dtype, Value* x) {
  llvm::Type* type = x->getType()->getWithNewType(register_type(b.getContext(), dtype));
  if (dtype == DType::boolean)
    return b.CreateICmpNE(x, llvm::Constant::getNullValue(x->getType()));
  if (dtype == DType::f16)
    return b.CreateFPExt(b.CreateBitCast(x, x->getType()->getWithNewType(b.getHalfTy())), type);
  if (dtype == DType::bf16) {
    Value* wide = b.CreateZExt(x, x->getType()->getWithNewType(b.getInt32Ty()));
    return b.CreateBitCast(b.CreateShl(wide, 16), type);
  }
  return x;
}

Value* to_memory(llvm::IRBuilder<>& b, DType dtype, Value* x) {
  llvm::Type* type = x->getType()->getWithNewType(memory_type(b.getContext(), dtype));
  if (dtype == DType::boolean)
    return b.CreateZExt(x, type);
  if (dtype == DType::f16)
    return b.CreateBitCast(b.CreateFPTrunc(x, x->getType()->getWithNewType(b.getHalfTy())), type);
  if (dtype == DType::bf16) {
    Value* loaded = bf16_bits_of(x);
    return loaded ? loaded : b.CreateTrunc(round_to_bf16_bits(b, x), type);
  }
  return x;
}

Value* emit_arithmetic(llvm::IRBuilder<>& b, Code code, DType result, DType operand,
                       std::span<Value* const> x) {
  if (code == Code::select)
    return b.CreateSelect(x[0], x[1], x[2]);
  if (code == Code::convert)
    return convert(b, operand, result, x[0]);
  if (code == Code::equal || code == Code::less || code == Code::less_equal)
    return compare(b, code, operand, x[0], x[1]);
  if (Value* bits = bit_arithmetic(b, code, x))
    return bits;
  if (!is_float(result))
    return integer_arithmetic(b, code, is_unsigned(result), x);
  Value* y = float_arithmetic(b, code, x);
  return bits_of(result) < 32 ? rounded_to(b, result, y) : y;
}

llvm::Constant* first_lanes(llvm::IRBuilder<>& b, int64_t lanes, int64_t count) {
  std::vector<llvm::Constant*> bits;
  for (int64_t lane = 0; lane < lanes; ++lane)
    bits.push_back(b.getInt1(lane < count));
  return llvm::ConstantVector::get(bits);
}

llvm::Constant* identity_of(Code fold, DType dtype, llvm::Type* type) {
  bool is_max = fold == Code::max || fold == Code::max_number;
  if (fold == Code::add || fold == Code::bit_or || fold == Code::bit_xor)
    return llvm::Constant::getNullValue(type);
  if (fold == Code::mul)
    return is_float(dtype) ? llvm::ConstantFP::get(type, 1.0) : llvm::ConstantInt::get(type, 1);
  if (fold == Code::bit_and)
    return llvm::Constant::getAllOnesValue(type);
  GRADC_CHECK(is_max || fold == Code::min, "{} is not a fold", name_of(fold));
  if (is_float(dtype))
    return llvm::ConstantFP::getInfinity(type, is_max);
  auto bits = static_cast<unsigned>(bits_of(dtype));
  llvm::APInt limit =
      is_unsigned(dtype)
          ? (is_max ? llvm::APInt::getMinValue(bits) : llvm::APInt::getMaxValue(bits))
          : (is_max ? llvm::APInt::getSignedMinValue(bits) : llvm::APInt::getSignedMaxValue(bits));
  return llvm::ConstantInt::get(type, limit);
}

llvm::Constant* beginning_of(Code fold, DType dtype, llvm::Type* type) {
  if (fold == Code::add && is_float(dtype))
    return llvm::ConstantFP::getNegativeZero(type);
  return identity_of(fold, dtype, type);
}

}  // namespace gradc::codegen
