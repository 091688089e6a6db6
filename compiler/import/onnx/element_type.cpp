#include <iterator>

#include "compiler/import/onnx/onnx_model.h"

namespace gradc::onnx {
namespace {

struct ElementInfo {
  const char* name;
  std::optional<DType> dtype;
  std::optional<WiderType> wider = {};
};

// In the order of TensorProto.DataType.
constexpr ElementInfo kElements[] = {{"UNDEFINED", {}},
                                     {"FLOAT", DType::f32},
                                     {"UINT8", DType::u8},
                                     {"INT8", DType::i8},
                                     {"UINT16", {}, WiderType{DType::i32, 0x1p16}},
                                     {"INT16", DType::i16},
                                     {"INT32", DType::i32},
                                     {"INT64", DType::i64},
                                     {"STRING", {}},
                                     {"BOOL", DType::boolean},
                                     {"FLOAT16", DType::f16},
                                     {"DOUBLE", DType::f64},
                                     {"UINT32", {}, WiderType{DType::i64, 0x1p32}},
                                     {"UINT64", {}, WiderType{DType::i64, 0x1p63}},
                                     {"COMPLEX64", {}},
                                     {"COMPLEX128", {}},
                                     {"BFLOAT16", DType::bf16},
                                     {"FLOAT8E4M3FN", {}},
                                     {"FLOAT8E4M3FNUZ", {}},
                                     {"FLOAT8E5M2", {}},
                                     {"FLOAT8E5M2FNUZ", {}},
                                     {"UINT4", {}},
                                     {"INT4", {}},
                                     {"FLOAT4E2M1", {}},
                                     {"FLOAT8E8M0", {}},
                                     {"UINT2", {}},
                                     {"INT2", {}},
                                     {"FLOAT6E2M3", {}},
                                     {"FLOAT6E3M2", {}}};

const ElementInfo* find(ElementType type) {
  return type >= 0 && type < static_cast<ElementType>(std::size(kElements)) ? &kElements[type]
                                                                            : nullptr;
}

}  // namespace

std::optional<DType> dtype_of(ElementType type) {
  const ElementInfo* info = find(type);
  return info ? info->dtype : std::nullopt;
}

std::optional<WiderType> wider_type_of(ElementType type) {
  const ElementInfo* info = find(type);
  return info ? info->wider : std::nullopt;
}

std::string name_of(ElementType type) {
  const ElementInfo* info = find(type);
  return info ? info->name : std::to_string(type);
}

}  // namespace gradc::onnx
