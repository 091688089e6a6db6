#!/usr/bin/env python3
"""ONNX models, weights and calls that are wrong, one by one: each ends with the right exit code and one
message that names the place, within a second and a GiB of memory.

usage: onnx_bad_inputs.py GRADC SOURCE_DIR [WORD]     (WORD: only cases with it in their name)
"""
import io
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zipfile

GRADC, SOURCE = sys.argv[1:3]
ONLY = sys.argv[3] if len(sys.argv) > 3 else ""
SECONDS, BYTES = 1.0, 1 << 30
# Sanitizers take their own time and memory.
SLOW = b"__asan_init" in open(GRADC, "rb").read() or b"__tsan_init" in open(GRADC, "rb").read()
FLOAT, U8, INT8, U16, STRING, INT64, BOOL, DOUBLE, COMPLEX = 1, 2, 3, 4, 8, 7, 9, 11, 14


# Protocol buffers: a message is the list of its fields, a field a number and a value.
def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def message(*fields):
    out = b""
    for number, value in fields:
        if isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        elif isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def tensor(name, dims, values=None, dtype=FLOAT, raw=None, extra=()):
    if raw is None:
        letter = {FLOAT: "f", INT64: "q", DOUBLE: "d", BOOL: "?", INT8: "b"}.get(dtype, "f")
        count = 1
        for dim in dims:
            count *= dim
        values = [0.5] * count if values is None else values
        raw = struct.pack("<%d%s" % (len(values), letter), *values)
    return message(*[(1, d) for d in dims], (2, dtype), (8, name), (9, raw), *extra)


def ints(name, *values):
    return tensor(name, [len(values)], values, INT64)


def external(name, dims, location, offset=0, length=None, dtype=FLOAT):
    entries = [("location", location), ("offset", str(offset))]
    if length is not None:
        entries.append(("length", str(length)))
    return message(*[(1, d) for d in dims], (2, dtype), (8, name),
                   *[(13, message((1, k), (2, v))) for k, v in entries], (14, 1))


def attribute(name, value):
    if isinstance(value, bytes):  # a tensor
        return message((1, name), (5, value), (20, 4))
    if isinstance(value, str):
        return message((1, name), (4, value), (20, 3))
    if isinstance(value, float):
        return message((1, name), (2, value), (20, 1))
    if isinstance(value, int):
        return message((1, name), (3, value), (20, 2))
    if value and isinstance(value[0], float):
        return message((1, name), *[(7, v) for v in value], (20, 6))
    return message((1, name), *[(8, v) for v in value], (20, 7))


def node(op, inputs, outputs, domain="", **attributes):
    fields = [(1, i) for i in inputs.split()] + [(2, o) for o in outputs.split()]
    fields += [(3, "the_node"), (4, op)] + [(5, attribute(k, v)) for k, v in attributes.items()]
    return message(*fields, *([(7, domain)] if domain else []))


def value(name, dims, dtype=FLOAT):
    sizes = [message((2, d)) if isinstance(d, str) else message((1, d)) for d in dims]
    shape = message(*[(1, s) for s in sizes])
    return message((1, name), (2, message((1, message((1, dtype), (2, shape))))))


def graph(nodes, inputs=(), weights=(), outputs=(message((1, "y")),), extra=()):
    return message(*[(1, n) for n in nodes], (2, "g"), *[(5, w) for w in weights],
                   *[(11, i) for i in inputs],
                   *[(12, value(o, []) if isinstance(o, str) else o) for o in outputs], *extra)


def opset(version, domain=""):
    return message((1, domain), (2, version))


def model(*args, ir=8, opsets=None, more=(), **kwargs):
    opsets = [opset(17)] if opsets is None else opsets
    return message((1, ir), (7, graph(*args, **kwargs)), *[(8, o) for o in opsets], *more)


X = value("x", [2, 3])
IMAGE = value("x", [1, 4, 8, 8])


def one(op, inputs="x", dims=(2, 3), weights=(), version=17, dtype=FLOAT, more_inputs=(), **attributes):
    """A model of one node."""
    return model([node(op, inputs, "y", **attributes)], [value("x", dims, dtype), *more_inputs],
                 weights, opsets=[opset(version)])


DENSE = model([node("Gemm", "x w b", "y")], [X], [tensor("w", [3, 2]), tensor("b", [2])])


class Bench:
    """A folder to write files in, and the count of what went right."""

    def __init__(self, folder):
        self.folder, self.passed, self.failed, self.kinds = folder, 0, 0, {}
        self.worst = (0.0, ""), (0, "")
        self.kind_name = ""

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)
        return self.path(name)

    def kind(self, name):
        self.kind_name = name

    def refused(self, name, text, content=None, args=None, code=1, path=None):
        """The call ends with this code and one message that holds the text."""
        if ONLY not in name:
            return
        if content is not None:
            path = self.write("m.onnx", content)
        self.call(name, [a.replace("M", path) if a == "M" else a for a in args or ["info", "M"]],
                  code, text)

    def accepted(self, name, content, args=None, text=""):
        if ONLY not in name:
            return
        path = self.write("m.onnx", content)
        self.call(name, [path if a == "M" else a for a in args or ["info", "M"]], 0, text)

    def call(self, name, args, code, text):
        begin = time.monotonic()
        with open(self.path("stderr"), "wb+") as errors, open(self.path("stdout"), "wb+") as output:
            process = subprocess.Popen([GRADC, *args], stderr=errors, stdout=output,
                                       stdin=subprocess.DEVNULL, cwd=self.folder)
            timer = None
            try:
                signal.signal(signal.SIGALRM, lambda *_: process.kill())
                timer = signal.setitimer(signal.ITIMER_REAL, 60)
                _, status, usage = os.wait4(process.pid, 0)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            errors.seek(0)
            seen = errors.read().decode(errors="replace")
        # Processor time: what others do on the machine is not the program's.
        seconds, memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
        self.worst = max(self.worst[0], (seconds, name)), max(self.worst[1], (memory, name))
        problems = []
        if process.returncode != code:
            problems.append("exit code %d, not %d" % (process.returncode, code))
        if text not in seen:
            problems.append("no `%s` in the message" % text)
        lines = [line for line in seen.splitlines() if "error: " in line]
        if code and (len(lines) != 1 or (code == 1 and not lines[0].split("error: ")[0].strip())):
            problems.append("not one line `PLACE: error: `")
        if len(seen) > 4000:
            problems.append("%d bytes of message" % len(seen))
        for bad in ("Sanitizer", "runtime error: ", "bug of gradc"):
            if bad in seen:
                problems.append(bad)
        if not SLOW and seconds > SECONDS:
            problems.append("%.2f s" % seconds)
        if not SLOW and memory > BYTES:
            problems.append("%d MiB" % (memory >> 20))
        self.kinds[self.kind_name] = self.kinds.get(self.kind_name, 0) + 1
        if problems:
            self.failed += 1
            print("FAILED %s: %s: %s\n%s" % (self.kind_name, name, "; ".join(problems), seen[:1200]))
        else:
            self.passed += 1


def files(b):
    b.kind("files")
    b.refused("empty", "m.onnx", b"")
    b.refused("text", "m.onnx", b"model m(x: f32[2]) {\n  return x\n}\n")
    b.refused("random bytes", "m.onnx", bytes((i * 7919 + 13) & 255 for i in range(4096)))
    b.refused("zeros", "m.onnx", bytes(4096))
    b.refused("cut in the graph", "m.onnx", DENSE[: len(DENSE) // 2])
    os.mkdir(b.path("folder.onnx"))
    b.refused("a folder", "folder.onnx", path=b.path("folder.onnx"))
    os.mkfifo(b.path("pipe.onnx"))
    b.refused("a pipe", "pipe.onnx", path=b.path("pipe.onnx"))
    os.symlink("/dev/zero", b.path("zero.onnx"))
    b.refused("a device", "zero.onnx", path=b.path("zero.onnx"))
    b.refused("missing", "nothing.onnx", path=b.path("nothing.onnx"))
    with open(b.path("large.onnx"), "wb") as file:
        file.truncate(3 << 30)
    b.refused("3 GiB of zeros", "large.onnx", path=b.path("large.onnx"))
    os.remove(b.path("large.onnx"))
    b.refused("a graph only", "m.onnx", graph([node("Relu", "x", "y")], [X]))
    b.refused("no graph", "graph", message((1, 8), (8, opset(17))))
    b.refused("wrong kind of file", "m.onnx", b"\x89HDF\r\n\x1a\n" + bytes(100))


def wire(b):
    b.kind("protocol buffers")
    b.refused("varint of 11 bytes", "m.onnx", b"\x08" + b"\xff" * 10 + b"\x01" + DENSE)
    b.refused("field beyond the end", "m.onnx", DENSE + b"\x3a\xff\xff\xff\x7f")
    b.refused("field of 2^63 bytes", "m.onnx", b"\x3a" + varint(1 << 63) + b"x")
    b.refused("field number 0", "m.onnx", b"\x00\x00" + DENSE)
    b.refused("group", "m.onnx", DENSE + b"\x0b")
    b.refused("wrong wire type", "m.onnx", b"\x3d\x00\x00\x00\x00")
    nested = b""
    for _ in range(5000):
        body = graph([message((4, "Relu"), (1, "x"), (2, "y"))]) if not nested else nested
        nested = message((1, message((4, "If"), (1, "c"), (2, "y"), (5, message((1, "then_branch"), (6, body), (20, 5))))))
    b.refused("graphs in graphs, 5000 deep", "100", message((1, 8), (7, nested), (8, opset(17))))
    b.accepted("unknown fields", DENSE + message((999, 5), (1000, "x"), (1001, 0.5)))
    b.accepted("the last of two singular fields", message((1, 3)) + DENSE)
    b.refused("names that are no UTF-8", "m.onnx",
              model([node("Relo", "x", "y")], [X]).replace(b"the_node", b"\xff\xfe\x00\x1b[31m"))


def external_data(b):
    b.kind("external data")
    os.mkdir(b.path("m"))
    os.mkdir(b.path("m/sub"))
    b.write("secret.bin", bytes(64))
    b.write("m/data.bin", bytes(64))
    b.write("m/sub/data.bin", bytes(64))
    os.symlink("../secret.bin", b.path("m/link.bin"))
    os.symlink("../../m", b.path("m/sub/up"))
    os.symlink("..", b.path("m/parent"))
    os.link(b.path("secret.bin"), b.path("m/hard.bin"))
    os.mkfifo(b.path("m/pipe.bin"))

    def with_data(location, offset=0, length=None, dims=(2, 3)):
        w = external("w", dims, location, offset, length)
        return model([node("Add", "x w", "y")], [X], [w])

    def case(name, text, *args, **kwargs):
        b.refused(name, text, path=b.write("m/m.onnx", with_data(*args, **kwargs)))

    for command in ["info M", "dump M", "compile M -o out", "report M -o out.html"]:
        b.refused("folder above, " + command, "..", path=b.write("m/m.onnx", with_data("../secret.bin")),
                  args=command.split())
    case("absolute path", "/etc/passwd", "/etc/passwd")
    case("down and up", "sub", "sub/../../secret.bin")
    case("link to a file", "link.bin", "link.bin")
    case("through a link to a folder", "parent", "parent/secret.bin")
    case("through a link that stays inside", "up", "sub/up/data.bin")
    case("hard link", "hard.bin", "hard.bin")
    case("pipe", "pipe.bin", "pipe.bin")
    case("folder", "sub", "sub")
    case("device", "/dev/zero", "/dev/zero")
    case("missing file", "none.bin", "none.bin")
    case("empty location", "location", "")
    case("beyond the end", "data.bin", "data.bin", 48)
    case("offset of 2^63", "data.bin", "data.bin", 1 << 63)
    case("offset that overflows", "data.bin", "data.bin", (1 << 63) - 8, 24)
    case("negative offset", "offset", "data.bin", -8)
    case("offset that is no number", "offset", "data.bin", "eight")
    case("length that is not the shape's", "20 bytes", "data.bin", 0, 20)
    case("name with a zero byte", "data", "data.bin\0.txt")
    b.accepted("below the folder", b"", ["info", b.write("m/m.onnx", with_data("sub/data.bin"))])
    b.refused("of an attribute", "..", model(
        [node("Constant", "", "w", value=external("", [2, 3], "../secret.bin")), node("Add", "x w", "y")], [X]))
    b.refused("of a value that nobody reads", "..", model(
        [node("Relu", "x", "y")], [X], [external("unused", [2, 3], "../secret.bin")]))
    sparse = message((1, external("values", [2], "../secret.bin")), (2, ints("places", 0, 1)), (3, 2), (3, 3))
    b.refused("sparse", "..", model([node("Relu", "x", "y")], [X], extra=[(15, sparse)]))


def dims(b):
    b.kind("sizes and elements")

    def weight(w):
        return model([node("Add", "x w", "y")], [X], [w])

    b.refused("negative", "w", weight(message((1, -3), (2, FLOAT), (8, "w"), (9, bytes(12)))))
    b.refused("2^63 - 1", "w", weight(message((1, (1 << 63) - 1), (2, FLOAT), (8, "w"), (9, bytes(12)))))
    b.refused("a product beyond 2^64", "w", weight(
        message((1, 1 << 33), (1, 1 << 33), (2, FLOAT), (8, "w"), (9, bytes(4)))))
    b.refused("a product that wraps to 4", "w", weight(
        message((1, 1 << 32), (1, 1 << 32), (1, 4), (2, FLOAT), (8, "w"), (9, bytes(16)))))
    b.refused("rank 100000", "axes", weight(message(*[(1, 1)] * 100000, (2, FLOAT), (8, "w"), (9, bytes(4)))))
    b.refused("input of rank 100000", "axes", model([node("Relu", "x", "y")], [value("x", [1] * 100000)]))
    b.refused("raw data too short", "w", weight(tensor("w", [2, 3], raw=bytes(20))))
    b.refused("raw data too long", "w", weight(tensor("w", [2, 3], raw=bytes(28))))
    b.refused("raw and typed", "w", weight(tensor("w", [3], extra=[(4, struct.pack("<3f", 1, 2, 3))])))
    b.refused("fewer typed than its shape", "w", weight(
        message((1, 3), (2, FLOAT), (8, "w"), (4, struct.pack("<2f", 1, 2)))))
    b.refused("no elements", "w", weight(message((1, 3), (2, FLOAT), (8, "w"))))
    b.refused("no dtype", "w", weight(message((1, 3), (8, "w"), (9, bytes(12)))))
    b.refused("unknown dtype", "w", weight(tensor("w", [3], dtype=99, raw=bytes(12))))
    b.refused("complex", "w", weight(tensor("w", [3], dtype=COMPLEX, raw=bytes(24))))
    b.refused("string input", "x", model([node("Identity", "x", "y")], [value("x", [2], STRING)]))
    b.refused("u16 input", "x", model([node("Identity", "x", "y")], [value("x", [2], U16)]))
    b.refused("input of 2^62 elements", "x", one("Relu", dims=(1 << 31, 1 << 31)))
    b.refused("input of size -2", "x", one("Relu", dims=(-2, 3)))
    b.accepted("NaN and infinity in weights", weight(
        tensor("w", [3], [float("nan"), float("inf"), 1e-42])))
    b.accepted("size 0", one("Relu", dims=(0, 3)))


def graphs(b):
    b.kind("graphs")
    relu = node("Relu", "x", "y")
    b.refused("cycle", "cycle", model([node("Add", "x z", "y"), node("Relu", "y", "z")], [X]))
    b.refused("reads itself", "cycle", model([node("Add", "x y", "y")], [X]))
    b.accepted("nodes out of order", model([node("Relu", "z", "y"), node("Neg", "x", "z")], [X]), text="order")
    b.refused("made twice", "`y`", model([relu, node("Neg", "x", "y")], [X]))
    b.refused("node makes an input", "the_node", model([node("Relu", "x", "x")], [X], outputs=["x"]))
    b.refused("undefined", "`q`", model([node("Relu", "q", "y")], [X]))
    b.refused("no output", "outputs", model([relu], [X], outputs=[]))
    b.refused("output nobody makes", "`z`", model([relu], [X], outputs=["z"]))
    b.refused("two inputs of one name", "`x`", model([relu], [X, X]))
    b.refused("two initializers of one name", "`w`", model(
        [node("Add", "x w", "y")], [X], [tensor("w", [3]), tensor("w", [3])]))
    b.refused("no inputs where one is needed", "the_node", model([node("Relu", "", "y")], [X]))
    b.refused("empty input where one is needed", "the_node", model(
        [message((1, ""), (2, "y"), (3, "the_node"), (4, "Relu"))], [X]))
    b.refused("too many inputs", "the_node", model([node("Relu", "x x", "y")], [X]))
    b.refused("too many outputs", "the_node", model([node("Relu", "x", "y z")], [X]))
    b.refused("input without a type", "x", model([relu], [message((1, "x"))]))
    b.refused("a sequence as input", "x", model([relu], [message((1, "x"), (2, message((4, b""))))]))
    b.accepted("other shape than declared", model([relu], [X], outputs=[value("y", [3, 2])]), text="[3,2]")
    b.refused("other type than declared", "`y`", model([relu], [X], outputs=[value("y", [2, 3], INT64)]))
    b.accepted("output is an input", model([relu], [X], outputs=["x", "y"]))
    b.accepted("unused input", model([relu], [X, value("unused", [7])]))
    b.accepted("initializer is an input", model(
        [node("Add", "x w", "y")], [X, value("w", [3])], [tensor("w", [3])]))
    b.accepted("name of 10000 letters", model(
        [node("Relu", "x", "n" * 10000), node("Neg", "n" * 10000, "y")], [X]))
    odd = ["class", "a/b/../c", "int", "a b\tc\n", "1", "%x", "ein_\xe4", "x\x1b[31m"]
    chain = [message((1, a), (2, c), (4, "Relu")) for a, c in zip(["x", *odd], [*odd, "y"])]
    b.accepted("names that are no identifiers", model(chain, [X]))
    many = [message((1, "v%d" % i), (2, "v%d" % (i + 1)), (4, "Identity")) for i in range(20000)]
    b.accepted("20000 nodes", model(many, [value("v0", [2])], outputs=["v20000"]))


def ops(b):
    b.kind("ops")
    w = tensor("w", [4, 4, 3, 3])

    def conv(**attributes):
        return one("Conv", "x w", (1, 4, 8, 8), [w], **attributes)

    b.refused("unknown", "Relo", one("Relo"))
    b.refused("unknown domain", "com.acme", one("Relu", domain="com.acme"))
    b.refused("attribute missing", "to", one("Cast"))
    b.refused("attribute unknown", "alpah", one("LeakyRelu", alpah=0.1))
    b.refused("attribute of another type", "alpha", one("LeakyRelu", alpha="much"))
    b.refused("attribute twice", "alpha", model([message(
        (1, "x"), (2, "y"), (3, "the_node"), (4, "LeakyRelu"), (5, attribute("alpha", 0.1)),
        (5, attribute("alpha", 0.2)))], [X]))
    b.refused("kernel of another rank", "kernel_shape", conv(kernel_shape=[3]))
    b.refused("kernel of another size", "kernel_shape", conv(kernel_shape=[5, 5]))
    b.refused("stride 0", "stride", conv(strides=[0, 1]))
    b.refused("negative stride", "stride", conv(strides=[-1, 1]))
    b.refused("dilation 0", "dilation", conv(dilations=[1, 0]))
    b.refused("dilation of 2^62", "the_node", conv(dilations=[1 << 62, 1 << 62]))
    b.refused("pads of another rank", "pads", conv(pads=[1, 1]))
    b.refused("negative pads beyond the image", "the_node", conv(pads=[-9, 0, 0, 0]))
    b.refused("pads of 2^62", "the_node", conv(pads=[1 << 62, 0, 1 << 62, 0]))
    b.refused("groups that do not divide", "group", conv(group=3))
    b.refused("group 0", "group", conv(group=0))
    b.refused("image smaller than the kernel", "the_node", one("Conv", "x w", (1, 4, 2, 2), [w]))
    b.refused("other channels", "the_node", one("Conv", "x w", (1, 3, 8, 8), [w]))
    b.refused("auto_pad unknown", "auto_pad", conv(auto_pad="SOME"))
    b.refused("pool kernel 0", "kernel", one("MaxPool", dims=(1, 4, 8, 8), kernel_shape=[0, 2]))
    b.refused("pool pads as large as the kernel", "pad", one(
        "MaxPool", dims=(1, 4, 8, 8), kernel_shape=[2, 2], pads=[2, 2, 2, 2]))
    b.refused("axis out of range", "axis", one("Softmax", axis=5))
    b.refused("axis repeated", "ax", one("ReduceSum", "x a", weights=[ints("a", 0, 0)]))
    b.refused("axis below -rank", "axis", one("Concat", "x x", axis=-3))
    b.refused("permutation that is none", "perm", one("Transpose", perm=[0, 0]))
    b.refused("permutation of another rank", "perm", one("Transpose", perm=[0, 1, 2]))
    b.refused("reshape with two -1", "the_node", one("Reshape", "x s", weights=[ints("s", -1, -1)]))
    b.refused("reshape to another count", "the_node", one("Reshape", "x s", weights=[ints("s", 4, 2)]))
    b.refused("reshape, -1 beside allowed 0", "the_node", one(
        "Reshape", "x s", weights=[ints("s", -1, 0)], allowzero=1))
    b.refused("reshape to -2", "the_node", one("Reshape", "x s", weights=[ints("s", -2, 3)]))
    b.refused("reshape by an input", "bind", model(
        [node("Reshape", "x s", "y")], [X, value("s", [2], INT64)]))
    b.refused("split that does not sum", "the_node", one("Split", "x s", weights=[ints("s", 1, 1)], axis=1))
    b.refused("gather beyond the end", "the_node", one("Gather", "x i", weights=[ints("i", 7)]))
    b.refused("slice by step 0", "step", one(
        "Slice", "x a e ax st", weights=[ints("a", 0), ints("e", 1), ints("ax", 0), ints("st", 0)]))
    b.refused("concat of two shapes", "the_node", one(
        "Concat", "x w", weights=[tensor("w", [2, 4])], axis=0))
    b.refused("shapes that do not broadcast", "[2,4]", one("Add", "x w", weights=[tensor("w", [2, 4])]))
    b.refused("types that differ", "the_node", one("Add", "x w", weights=[ints("w", 1, 2, 3)]))
    b.refused("inner sizes of a product", "the_node", one("MatMul", "x w", weights=[tensor("w", [4, 2])]))
    b.refused("expand to less", "the_node", one("Expand", "x s", weights=[ints("s", 1, 2)]))
    b.refused("expand to 2^62", "the_node", one("Expand", "x s", weights=[ints("s", 1 << 31, 1 << 31, 2, 3)]))
    b.refused("tile by -1", "the_node", one("Tile", "x r", weights=[ints("r", -1, 2)]))
    b.refused("range with step 0", "the_node", model(
        [node("Range", "a z s", "r"), node("Add", "x r", "y")], [X],
        [tensor("a", [], [0.0]), tensor("z", [], [3.0]), tensor("s", [], [0.0])]))
    b.refused("range of 2^60", "the_node", model(
        [node("Range", "a z s", "y")], [X],
        [tensor("a", [], [0], INT64), tensor("z", [], [1 << 60], INT64), tensor("s", [], [1], INT64)]))
    b.refused("constant of shape 2^60", "the_node", model(
        [node("ConstantOfShape", "s", "y")], [X], [ints("s", 1 << 30, 1 << 30)]))
    b.refused("normalisation by another count", "the_node", one(
        "BatchNormalization", "x s s s s", (1, 4, 8, 8), [tensor("s", [3])]))
    b.refused("einsum of unknown letters", "`q`", one("Einsum", "x x", equation="ij,jk->iq"))
    b.refused("lstm with other weights", "the_node", one(
        "LSTM", "x w r", (5, 2, 3), [tensor("w", [1, 16, 4]), tensor("r", [1, 16, 4])], hidden_size=4))
    b.refused("rank 0 where axes are needed", "the_node", one("Conv", "x w", (), [w]))
    b.refused("nonzero", "NonZero", one("NonZero"))
    b.refused("loop", "Loop", one("Loop"))


def versions(b):
    b.kind("versions")
    relu = [node("Relu", "x", "y")]
    b.refused("opset 0", "opset", one("Relu", version=0))
    b.refused("opset -1", "opset", one("Relu", version=-1))
    b.refused("opset 1000000", "opset", one("Relu", version=1000000))
    b.refused("no opset", "opset", model(relu, [X], opsets=[]))
    b.refused("opset of another domain only", "opset", model(relu, [X], opsets=[opset(1, "ai.onnx.ml")]))
    b.refused("one domain twice", "13 and 17", model(relu, [X], opsets=[opset(13), opset(17)]))
    b.refused("op before its time", "Mish", one("Mish", version=13))
    b.refused("attribute after its time", "axes", one("ReduceSum", version=18, axes=[0]))
    call = message((1, "f"), (4, "a"), (5, "b"), (7, node("f", "a", "b", domain="local")),
                   (9, opset(17)), (9, opset(1, "local")), (10, "local"))
    b.refused("a function that calls itself", "f", model(
        [node("f", "x", "y", domain="local")], [X], opsets=[opset(17), opset(1, "local")], more=[(25, call)]))
    b.accepted("IR version 99", model(relu, [X], ir=99))


def binding(b):
    b.kind("sizes that are open")
    relu = model([node("Relu", "x", "y")], [value("x", ["batch", 3])])
    b.refused("not bound", "--bind batch", relu)
    b.refused("unknown size, no name", "--shape", one("Relu", dims=(-1, 3)))
    b.refused("bound twice", "batch", relu, ["info", "M", "--bind", "batch=2", "--bind", "batch=3"], 2)
    b.refused("bound to no number", "batch", relu, ["info", "M", "--bind", "batch=many"], 2)
    b.refused("bound to -1", "batch", relu, ["info", "M", "--bind", "batch=-1"], 2)
    b.refused("bound to 2^70", "batch", relu, ["info", "M", "--bind", "batch=%d" % (1 << 70)], 2)
    b.refused("another name", "did you mean", relu, ["info", "M", "--bind", "bath=2"], 2)
    b.refused("shape of another rank", "x", relu, ["info", "M", "--shape", "x=2x3x4"], 2)
    b.refused("shape of no input", "q", relu, ["info", "M", "--shape", "q=2x3"], 2)
    b.refused("shape that cannot be read", "--shape", relu, ["info", "M", "--shape", "x=2xthree"], 2)
    b.refused("shape against a fixed size", "x", DENSE, ["info", "M", "--shape", "x=2x7"], 1)
    b.refused("a batch that no memory holds", "m.onnx", relu, ["info", "M", "--batch", str(1 << 62)], 1)


def training(b):
    b.kind("training")
    import_only = ["info", "M", "--loss"]
    b.refused("unknown loss", "cross_entropy", DENSE, [*import_only, "cross_entropie"], 2)
    b.refused("no such output", "--loss", DENSE, [*import_only, "mse:z"], 2)
    whole = model([node("Add", "x x", "y")], [value("x", [2, 3], INT64)], outputs=[value("y", [2, 3], INT64)])
    b.refused("no output of floats", "float", whole, [*import_only, "mse"], 1)
    b.refused("no parameters", "parameter", one("Relu", dims=(2, 2)), ["train", "M", "--loss", "mse", *FEED], 1)
    b.refused("no loss", "loss", DENSE, ["train", "M", *FEED], 1)
    b.refused("no data", "--feed", DENSE, ["train", "M", "--loss", "mse"], 2)
    rounds = model([node("Gemm", "x w b", "z"), node("ArgMax", "z", "i"), node("Cast", "i", "c", to=1),
                    node("Expand", "c s", "y")], [X], [tensor("w", [3, 2]), tensor("b", [2]), ints("s", 2, 2)])
    b.refused("a path without a gradient", "parameter", rounds, ["train", "M", "--loss", "mse", *FEED], 1)
    step = ["train", "M", "--loss", "mse", *FEED]
    for name, text, args, code in [
            ("learning rate nan", "--lr", ["--lr", "nan"], 2), ("learning rate -1", "--lr", ["--lr", "-1"], 2),
            ("memory of 1 byte", "--memory", ["--memory", "1"], 4),
            ("memory without a number", "--memory", ["--memory", "MiB"], 2),
            ("weights that are missing", "none.safetensors", ["--weights", "none.safetensors"], 1),
            ("feed given twice", "--feed", ["--feed", "none.npz"], 2),
            ("data and feed", "--data", ["--data", "none.npz"], 2),
            ("frozen, all of them", "frozen", ["--freeze", "*"], 1),
            ("unknown CPU", "z80", ["--cpu", "z80"], 2)]:
        b.refused(name, text, DENSE, [*step, *args], code)
    labels = ["train", "M", "--loss", "cross_entropy", "--steps", "1", "--feed"]
    for name, text, arrays in [
            ("no target", "target", {"x": npy("<f4", (2, 3), bytes(24))}),
            ("target of another shape", "target", {**FED, "target": npy("<i8", (3,), bytes(24))}),
            ("target out of range", "target", {**FED, "target": npy("<i8", (2,), struct.pack("<qq", 0, 7))}),
            ("input of another shape", "`x`", {**FED, "x": npy("<f4", (2, 4), bytes(32))}),
            ("array of objects", "|O", {**FED, "x": npy("|O", (2, 3), bytes(48))}),
            ("array of fewer bytes than its shape", "x", {**FED, "x": npy("<f4", (2, 3), bytes(20))})]:
        b.write("feed.npz", npz(arrays))
        b.refused(name, text, DENSE, [*labels, "feed.npz"], 1)
    b.refused("feed that is missing", "none.npz", DENSE, [*labels, "none.npz"], 1)
    b.write("feed.npz", npz({**FED, "x": npy("<i8", (2, 3), bytes(48), True)}))
    b.accepted("whole numbers of Fortran order", DENSE, [*labels, "feed.npz"])
    double = model([node("MatMul", "x w", "y")], [value("x", [2, 3], DOUBLE)], [tensor("w", [3, 2], dtype=DOUBLE)])
    b.write("feed.npz", npz({"x": npy("<f8", (2, 3), bytes(48)), "target": npy("<f8", (2, 2), bytes(32))}))
    b.accepted("double precision", double, ["train", "M", "--loss", "mse", "--steps", "1", "--feed", "feed.npz"])
    table = model([node("Gather", "w i", "e"), node("ReduceMean", "e", "y", axes=[1], keepdims=0)],
                  [value("i", [2], INT64)], [tensor("w", [5, 3])])
    for index, is_good in [(4, True), (-5, True), (5, False), (-6, False), (1 << 62, False)]:
        b.write("feed.npz", npz({"i": npy("<i8", (2,), struct.pack("<qq", 0, index)),
                                 "target": npy("<f4", (2,), bytes(8))}))
        call = ["train", "M", "--loss", "mse", "--steps", "1", "--feed", "feed.npz"]
        if is_good:
            b.accepted("index %d of 5" % index, table, call)
        else:
            b.refused("index %d of 5" % index, "element 1 of `i` is %d" % index, table, call)


def npy(dtype, shape, content, fortran=False):
    header = "{'descr': '%s', 'fortran_order': %s, 'shape': %r, }" % (dtype, fortran, shape)
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content


def npz(arrays):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, array in arrays.items():
            file.writestr(name + ".npy", array)
    return content.getvalue()


FEED = ["--steps", "1", "--feed", "good.npz"]
FED = {"x": npy("<f4", (2, 3), bytes(24)), "target": npy("<i8", (2,), bytes(16))}


def main():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    folder = tempfile.mkdtemp(prefix="gradc-bad-")
    try:
        bench = Bench(folder)
        bench.write("good.npz", npz({**FED, "target": npy("<f4", (2, 2), bytes(16))}))
        for group in (files, wire, external_data, dims, graphs, ops, versions, binding, training):
            group(bench)
    finally:
        shutil.rmtree(folder)
    for kind, count in bench.kinds.items():
        print("%3d of %s" % (count, kind))
    (seconds, slowest), (memory, largest) = bench.worst
    print("most processor time %.2f s (%s), most memory %.0f MiB (%s)" % (seconds, slowest, memory / 2**20, largest))
    print("%d passed, %d failed" % (bench.passed, bench.failed))
    return bench.failed > 0


sys.exit(main())
