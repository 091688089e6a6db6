"""The light models of the `onnx` package: whole image classifiers whose weights are ConstantOfShape nodes. Each gives
the recorded output, and a step changes as many parameters as stated here, all gradients finite.

usage: onnx_light_models.py GRADC WORK_DIR [MODEL...]     (WORK_DIR is that of onnx_node_tests.py, whose Python
                                                           environment this runs in)
"""
import json
import os
import subprocess
import sys

from onnx_node_tests import package_python

# What a step trains with, and how many parameters it changes. All weights of a layer are equal, so most gradients are
# far below their weights and SGD's steps would be lost in rounding, but vgg19's reach 1e26, whose squares Adam cannot
# hold; there one bias is too large for its gradient.
ADAM = "adam", "--epsilon", "1e-15"
SGD = "sgd",
STEPS = {
    "bvlc_alexnet": (ADAM, 16),
    "densenet121": (ADAM, 368),
    "inception_v1": (ADAM, 116),
    "inception_v2": (ADAM, 235),
    "resnet50": (ADAM, 161),
    "shufflenet": (ADAM, 150),
    "squeezenet": (ADAM, 52),
    "vgg19": (SGD, 37),
    "zfnet512": (ADAM, 16),
}


def checked(gradc, name, folder):
    import numpy as np
    import onnx
    data = os.path.join(os.path.dirname(onnx.__file__), "backend/test/data/light")
    path = os.path.join(data, f"light_{name}.onnx")
    graph = onnx.load(path).graph
    weights = {tensor.name for tensor in graph.initializer}
    feed = {}
    for value in graph.input:
        if value.name not in weights:
            shape = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
            count = int(np.prod(shape))
            feed[value.name] = (np.arange(count).reshape(shape) / count).astype(np.float32)
    file = lambda end: os.path.join(folder, name + end)
    np.savez(file(".npz"), **feed, target=np.array([3]))

    def run(command, *arguments):
        subprocess.run([gradc, command, path, "--feed", file(".npz"), *arguments], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    run("run", "-o", file(".out.npz"))
    recorded = onnx.numpy_helper.to_array(onnx.load_tensor(os.path.join(data, f"light_{name}_output_0.pb")))
    [output] = np.load(file(".out.npz")).values()
    assert np.allclose(output, recorded, rtol=1e-3, atol=1e-7), np.abs(output - recorded).max()

    run("grad", "--loss", "cross_entropy", "-o", file(".gradients.npz"))
    gradients = np.load(file(".gradients.npz"))
    assert all(np.isfinite(gradients[key]).all() for key in gradients.files)

    def weights_after_a_step(optimizer, *flags):
        run("train", "--loss", "cross_entropy", "--steps", "1", "--optimizer", optimizer, *flags, "--save",
            file(".safetensors"))
        with open(file(".safetensors"), "rb") as saved:
            header = json.loads(saved.read(int.from_bytes(saved.read(8), "little")))
            content = saved.read()
        return {key[5:]: np.frombuffer(content[slice(*header[key[5:]]["data_offsets"])], np.float32)
                for key in gradients.files if key.startswith("grad/")}

    optimizer, stated = STEPS[name]
    before, after = weights_after_a_step(*optimizer, "--lr", "0"), weights_after_a_step(*optimizer, "--lr", "0.1")
    assert all(np.isfinite(tensor).all() for tensor in after.values())
    changed = sum(not np.array_equal(before[key], after[key]) for key in before)
    assert changed == stated, f"a step changes {changed} parameters, not {stated}"
    error = np.abs(output - recorded).max()
    print(f"{name}: output differs by {error:.1e}, a step changes {changed} parameters", flush=True)


def main(gradc, work, *names):
    python = package_python(work)
    if os.path.realpath(sys.prefix) != os.path.realpath(os.path.dirname(os.path.dirname(python))):
        os.execv(python, [python, *sys.argv])
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        for name in names or STEPS:
            checked(gradc, name, folder)
            for each in os.listdir(folder):
                os.remove(os.path.join(folder, each))


main(*sys.argv[1:])
