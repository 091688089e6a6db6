#pragma once
// The expressions of the model language.
#include "compiler/import/model_token_stream.h"

namespace gradc::model_text {

ExprPtr parse_expression(TokenStream& in);
std::vector<ExprPtr> parse_expressions(TokenStream& in);  // a, b, ...

}  // namespace gradc::model_text
