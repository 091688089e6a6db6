"""Two small models for tests/unit/onnx_damage_test.cpp, with most kinds of fields in them.

usage: python make_damage_models.py        (needs onnx; writes classifier.onnx, control.onnx and
                                            control.bin beside this file)
"""
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
NUMBERS = np.random.default_rng(1)


def raw(name, *dims):
    return numpy_helper.from_array(NUMBERS.standard_normal(dims).astype(np.float32), name)


def save(graph, name, functions=()):
    model = helper.make_model(graph, opset_imports=OPSETS, functions=functions,
                              producer_name="make_damage_models", ir_version=8)
    onnx.checker.check_model(model)
    return model, os.path.join(HERE, name)


def classifier():
    """Convolution and product; raw data and typed lists; a symbolic batch."""
    nodes = [
        helper.make_node("Conv", ["image", "conv.w", "conv.b"], ["features"], "conv",
                         pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("BatchNormalization", ["features", "scale", "shift", "mean", "variance"],
                         ["normal"], "norm", epsilon=1e-5),
        helper.make_node("Relu", ["normal"], ["positive"], "relu"),
        helper.make_node("Constant", [], ["shape"], "shape",
                         value=helper.make_tensor("", TensorProto.INT64, [2], [0, -1])),
        helper.make_node("Reshape", ["positive", "shape"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "fc.w", "fc.b"], ["scores"], "fc", transB=1, alpha=1.0),
        helper.make_node("Cast", ["scores"], ["half"], "cast", to=TensorProto.FLOAT16),
        helper.make_node("Add", ["half", "offset"], ["result"], "add"),
    ]
    weights = [
        raw("conv.w", 3, 1, 3, 3), raw("conv.b", 3),
        helper.make_tensor("scale", TensorProto.FLOAT, [3], [1, 2, 3]), raw("shift", 3),
        raw("mean", 3), helper.make_tensor("variance", TensorProto.FLOAT, [3], [1, 1, 2]),
        raw("fc.w", 4, 12), raw("fc.b", 4),
        helper.make_tensor("offset", TensorProto.FLOAT16, [4], [1, 0.5, -1, 0]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 4, 4])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT16, ["batch", 4])
    flat = helper.make_tensor_value_info("flat", TensorProto.FLOAT, ["batch", 12])
    model, path = save(helper.make_graph(nodes, "classifier", [image], [result], weights,
                                         value_info=[flat]), "classifier.onnx")
    onnx.save(model, path)


def control():
    """A graph in a graph, a function, external data, string and number lists."""
    def branch(name, op):
        out = helper.make_tensor_value_info(name, TensorProto.FLOAT, [4])
        return helper.make_graph([helper.make_node(op, ["x", name + ".w"], [name])], name, [], [out],
                                 [raw(name + ".w", 4)])

    twice = helper.make_function(
        "local", "twice", ["a"], ["b"],
        [helper.make_node("Constant", [], ["two"], value_float=2.0),
         helper.make_node("Mul", ["a", "two"], ["b"])],
        [helper.make_opsetid("", 17)], attributes=["unused"])
    nodes = [
        helper.make_node("If", ["condition"], ["chosen"], "choice",
                         then_branch=branch("left", "Add"), else_branch=branch("right", "Sub")),
        helper.make_node("twice", ["chosen"], ["doubled"], "twice", domain="local"),
        helper.make_node("Constant", [], ["numbers"], value_floats=[1.0, 2.0, 3.0, 4.0]),
        helper.make_node("Sum", ["doubled", "numbers", "bias", "table"], ["result"], "sum"),
    ]
    weights = [raw("bias", 4), raw("table", 4),
               helper.make_tensor("flags", TensorProto.BOOL, [3], [1, 0, 1]),
               helper.make_tensor("bytes", TensorProto.UINT8, [3], [0, 7, 255]),
               helper.make_tensor("real", TensorProto.DOUBLE, [2], [0.5, 2.5]),
               helper.make_tensor("words", TensorProto.STRING, [2], ["a", "b"])]
    inputs = [helper.make_tensor_value_info("condition", TensorProto.BOOL, []),
              helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])]
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [4])
    model, path = save(helper.make_graph(nodes, "control", inputs, [result], weights),
                       "control.onnx", [twice])
    onnx.save_model(model, path, save_as_external_data=True, location="control.bin",
                    size_threshold=16)


if os.path.exists(os.path.join(HERE, "control.bin")):
    os.remove(os.path.join(HERE, "control.bin"))  # onnx would append to it
classifier()
control()
