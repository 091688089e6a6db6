"""Writes the node tests of the installed `onnx` package as test folders.

  python onnx_node_data.py OUT    OUT/<suite>/<case>/model.onnx, test_data_set_0/input_0.pb, ...

Suites: node, made by the package's own generator, and simple, pytorch-converted, pytorch-operator.
"""
import os
import shutil
import sys
import warnings

import numpy
from onnx import TensorProto, numpy_helper


def serialized(value, info):
    if isinstance(value, TensorProto):
        return value.SerializeToString()
    makers = {"map_type": numpy_helper.from_dict, "sequence_type": numpy_helper.from_list,
              "optional_type": numpy_helper.from_optional}
    make = makers.get(info.type.WhichOneof("value"), numpy_helper.from_array)
    return make(value, info.name).SerializeToString()


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def write_case(case, out):
    folder = os.path.join(out, case.kind, case.name)
    os.makedirs(folder)
    write(os.path.join(folder, "model.onnx"), case.model.SerializeToString())
    for i, (inputs, outputs) in enumerate(case.data_sets):
        data = os.path.join(folder, f"test_data_set_{i}")
        os.makedirs(data)
        graph = case.model.graph
        for kind, values, infos in (("input", inputs, graph.input), ("output", outputs, graph.output)):
            for j, value in enumerate(values):
                write(os.path.join(data, f"{kind}_{j}.pb"), serialized(value, infos[j]))


def main():
    out = sys.argv[1]
    warnings.simplefilter("ignore")
    numpy.random.seed(0)  # the cases draw their data as they are collected
    from onnx.backend.test.case import model, node
    from onnx.backend.test.loader import DATA_DIR
    for case in node.collect_testcases() + model.collect_testcases():
        if case.model is not None:
            write_case(case, out)
    for suite in ("pytorch-converted", "pytorch-operator"):
        shutil.copytree(os.path.join(DATA_DIR, suite), os.path.join(out, suite))


main()
