#pragma once
// Text of the model language -> syntax tree. The grammar is in docs/model-language.md.
#include "compiler/import/model_ast.h"

namespace gradc::model_text {

File parse_file(const Source& source);

}  // namespace gradc::model_text
