"""Test folders for tests/e2e/verify.sh, and a model with many problems for tests/e2e/check.sh.

usage: python make_cases.py        (needs onnx; writes cases/ and problems.onnx beside this file)
"""
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
FLOATS = np.array([[1, -2, 3], [-4, 5, -6]], np.float32)


def info(name, array):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def save(model, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    onnx.save(model, path)


def make_model(nodes, inputs, outputs, opset=17):
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="make_cases",
                             ir_version=8)


def case(name, nodes, inputs, outputs):
    """inputs and outputs are arrays by name; of each there is one data set."""
    folder = os.path.join(HERE, "cases", name)
    model = make_model(nodes, [info(*each) for each in inputs.items()], [info(*each) for each in outputs.items()])
    save(model, os.path.join(folder, "model.onnx"))
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    for kind, arrays in (("input", inputs), ("output", outputs)):
        for i, (each, array) in enumerate(arrays.items()):
            with open(os.path.join(data, f"{kind}_{i}.pb"), "wb") as file:
                file.write(numpy_helper.from_array(array, each).SerializeToString())


case("good/relu", [helper.make_node("Relu", ["x"], ["y"])], {"x": FLOATS}, {"y": np.maximum(FLOATS, 0)})
# An input that says a shape.
case("good/reshape", [helper.make_node("Reshape", ["x", "shape"], ["y"])],
     {"x": FLOATS, "shape": np.array([3, -1], np.int64)}, {"y": FLOATS.reshape(3, 2)})
case("good/exp", [helper.make_node("Exp", ["x"], ["y"])], {"x": FLOATS}, {"y": np.exp(FLOATS)})
NOTHING = np.zeros((2, 0, 3), np.float32)
case("good/empty", [helper.make_node("ReduceMax", ["x"], ["y"], axes=[1], keepdims=0),
                    helper.make_node("Relu", ["x"], ["z"])],
     {"x": NOTHING}, {"y": np.full((2, 3), -np.inf, np.float32), "z": NOTHING})
case("skipped/op", [helper.make_node("NonZero", ["x"], ["y"])], {"x": FLOATS},
     {"y": np.array(np.nonzero(FLOATS), np.int64)})
case("skipped/strings", [helper.make_node("Identity", ["x"], ["y"])], {"x": np.array(["a", "b"], object)},
     {"y": np.array(["a", "b"], object)})
case("skipped/type", [helper.make_node("Identity", ["x"], ["y"])], {"x": np.array([1, 2], np.uint32)},
     {"y": np.array([1, 2], np.uint32)})
# Wrong by 1 at element 1; another shape than the output's.
case("wrong/value", [helper.make_node("Relu", ["x"], ["y"])], {"x": FLOATS},
     {"y": np.maximum(FLOATS, 0) + np.array([[0, 1, 0], [0, 0, 0]], np.float32)})
case("wrong/shape", [helper.make_node("Relu", ["x"], ["y"])], {"x": FLOATS}, {"y": FLOATS.reshape(3, 2)})

save(make_model([helper.make_node("Relu6", ["x"], ["a"], "first"), helper.make_node("Softmax", ["x"], ["b"], "second",
                                                                                   axes=1),
                 helper.make_node("Loop", ["a"], ["c"], "third"), helper.make_node("Add", ["b", "c"], ["d"], "fourth"),
                 helper.make_node("Reshape", ["x", "shape"], ["e"], "fifth"),
                 helper.make_node("Concat", ["d", "e"], ["y"], "sixth", axis=0)],
                [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3]),
                 helper.make_tensor_value_info("shape", TensorProto.INT64, [2])],
                [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]),
     os.path.join(HERE, "problems.onnx"))
