"""A small model of sequences for tests/e2e/feed.sh, and a batch for it.

usage: python make_feed_model.py        (needs onnx; writes tokens.onnx and tokens.npz beside this
                                         file and prints the loss of the batch)
"""
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
NUMBERS = np.random.default_rng(2)
TABLE = NUMBERS.standard_normal((5, 4)).astype(np.float32)
WEIGHT = NUMBERS.standard_normal((4, 5)).astype(np.float32)
IDS, TARGET = NUMBERS.integers(0, 5, (2, 2, 3))

graph = helper.make_graph(
    [helper.make_node("Gather", ["table", "ids"], ["rows"], "rows"),
     helper.make_node("MatMul", ["rows", "weight"], ["scores"], "scores")],
    "tokens", [helper.make_tensor_value_info("ids", TensorProto.INT64, [2, 3])],
    [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [2, 3, 5])],
    [numpy_helper.from_array(TABLE, "table"), numpy_helper.from_array(WEIGHT, "weight")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                          producer_name="make_feed_model", ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, os.path.join(HERE, "tokens.onnx"))
np.savez(os.path.join(HERE, "tokens.npz"), ids=IDS, target=TARGET)

scores = TABLE.astype(np.float64)[IDS] @ WEIGHT
logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
print(f"{-np.take_along_axis(logs, TARGET[..., None], -1).mean():.6f}")
