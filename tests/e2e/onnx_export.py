"""Trained ONNX models as another program reads them: Debian's python3-onnx, which shares no code with gradc.

  onnx_export.py make BASE.onnx DIR                 variants: external data and metadata, odd names, computed weights
  onnx_export.py check BEFORE.onnx AFTER.onnx NPZ   AFTER is valid, and BEFORE with the parameters of PyTorch
  onnx_export.py names BEFORE.onnx WEIGHTS.safetensors   the file's tensors have the model's names
"""

import json
import os
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def make(base, folder):
    model = onnx.load(base)
    model.doc_string = "a note"
    helper.set_model_props(model, {"author": "someone", "dataset": "none"})
    onnx.save(model, folder + "/external.onnx", save_as_external_data=True, location="tensors/all.bin",
              size_threshold=1024)
    # Names that gradc's IR does not have.
    model = onnx.load(base)
    renamed = {}
    for i, tensor in enumerate(model.graph.initializer):
        renamed[tensor.name] = f"onnx::{tensor.name} ü/{i}"
        tensor.name = renamed[tensor.name]
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    onnx.save(model, folder + "/names.onnx")

    shape = helper.make_node("Constant", [], ["s"], value=helper.make_tensor("", TensorProto.INT64, [2], [4, 3]))
    fill = helper.make_node("ConstantOfShape", ["s"], ["w"], value=helper.make_tensor("", TensorProto.FLOAT, [1], [0.5]))
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([shape, fill, product], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), folder + "/computed.onnx")
    np.savez(folder + "/computed.npz", x=np.ones((2, 4), np.float32), target=np.array([0, 2]))


def initializers(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def check(before, after, reference):
    onnx.checker.check_model(after)
    onnx.checker.check_model(onnx.load(after), full_check=True)  # given a path, it would rewrite the file
    old, new = onnx.load(before), onnx.load(after)
    arrays = np.load(reference)
    trained, changed = initializers(new), 0
    assert list(trained) == list(initializers(old)), "other initializers, or in another order"
    for (name, value), start in zip(trained.items(), initializers(old).values()):
        plain = name.removeprefix("onnx::").split(" ")[0]
        key = "after_sgd/" + plain
        if key in arrays.files:
            error = np.linalg.norm(value - arrays[key]) / max(np.linalg.norm(arrays[key]), 1e-3 * np.sqrt(value.size))
            assert error <= 1e-4, f"{name} is {error} from PyTorch's"
        changed += not np.array_equal(value, start)
    wanted = sum(key.startswith("after_sgd/") for key in arrays.files)
    assert changed >= wanted > 0, f"{changed} tensors changed, {wanted} are trained"
    # All else is as it was.
    for model in (old, new):
        for tensor in model.graph.initializer:
            for field in ("raw_data", "float_data", "data_location", "external_data"):
                tensor.ClearField(field)
    assert old.SerializeToString() == new.SerializeToString(), "more than weights changed"
    kinds = [[t.data_location for t in onnx.load(path, load_external_data=False).graph.initializer] for path in (before, after)]
    assert kinds[0] == kinds[1], "tensors moved into the model's file, or out of it"
    print(f"{after}: {changed} tensors changed, {wanted} of them as in PyTorch")


def names(before, weights):
    with open(weights, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    missing = {t.name for t in onnx.load(before).graph.initializer if t.data_type == TensorProto.FLOAT} - set(header)
    # Constants of the graph may be no parameters; whatever is one has its name.
    known = {t.name for t in onnx.load(before).graph.initializer}
    unknown = set(header) - known - {"__metadata__"}
    assert not unknown, f"names that the model does not have: {unknown}"
    assert len(header) > 1 and not missing, f"without {missing}"


{"make": make, "check": check, "names": names}[sys.argv[1]](*sys.argv[2:])
