#!/usr/bin/env python3
"""Convolutions one by one beside oneDNN's, as PyTorch calls it on channels-last tensors: forward, data gradient and weight
gradient of the layers of ResNet-50 and LeNet, one thread.

usage: python bench/peers/conv_layers.py CONTRACT_BENCH [resnet50|resnet50one|lenet ...] [--rounds 3] [-o RESULTS.jsonl]
       python bench/peers/conv_layers.py --table RESULTS.jsonl      the table of docs/performance.md

CONTRACT_BENCH is the binary of bench/contract_bench.cpp. Both programs take the processor time of their own thread, in turn,
and the least of all rounds counts. Needs torch from PyPI.
"""
import argparse
import json
import re
import subprocess
import time

GROUPS = {"lenet": "lenet, batch 64", "resnet50": "resnet50, batch 4", "resnet50one": "resnet50, batch 1"}
OPS = ["forward", "data", "weight"]
SECONDS = 0.2


def layers_of(name):
    """(batch, inputs, outputs, size, kernel, stride, pad), one of each shape, as in bench/convolution_cases.cpp."""
    if name == "lenet":
        return [(64, 1, 32, 28, 5, 1, 2), (64, 32, 64, 14, 5, 1, 2)]
    batch = 4 if name == "resnet50" else 1
    layers, channels, size = [(batch, 3, 64, 224, 7, 2, 3)], 64, 56
    for width in (64, 128, 256, 512):
        stride = 1 if width == 64 else 2
        layers += [(batch, channels, width, size, 1, 1, 0), (batch, width, width, size, 3, stride, 1),
                   (batch, channels, 4 * width, size, 1, stride, 0)]
        size //= stride
        layers += [(batch, width, 4 * width, size, 1, 1, 0), (batch, 4 * width, width, size, 1, 1, 0)]
        if stride > 1:
            layers.append((batch, width, width, size, 3, 1, 1))
        channels = 4 * width
    return list(dict.fromkeys(layers))


def out_size(layer):
    _, _, _, size, kernel, stride, pad = layer
    return (size + 2 * pad - kernel) // stride + 1


def op_text(layer, op):
    batch, inputs, outputs, size, kernel, stride, pad = layer
    out = out_size(layer)
    x, w = f"f32[{batch},{size},{size},{inputs}]", f"f32[{outputs},{inputs},{kernel},{kernel}]"
    y = f"f32[{batch},{out},{out},{outputs}]"
    head = f"channels_last=true, dilation=[1,1], groups=1, high=[{pad},{pad}], low=[{pad},{pad}], "
    tail = f"stride=[{stride},{stride}]"
    if op == "forward":
        return f"conv({x}, {w}) {{{head}{tail}}}"
    if op == "data":
        return f"conv_data_gradient({y}, {w}) {{{head}size=[{size},{size}], {tail}}}"
    return f"conv_weight_gradient({x}, {y}) {{{head}size=[{kernel},{kernel}], {tail}}}"


def gradc_times(binary, layer, op):
    """Microseconds and per cent of the FMA peak."""
    out = subprocess.run([binary, op_text(layer, op)], capture_output=True, text=True, check=True).stdout
    found = re.match(r"\s*([\d.]+) us\s+[\d.]+ GFLOP/s\s+([\d.]+) %", out)
    return float(found[1]), float(found[2])


def torch_call(layer, op):
    import torch
    batch, inputs, outputs, size, kernel, stride, pad = layer
    out = out_size(layer)

    def image(*dims):
        return torch.randn(dims).to(memory_format=torch.channels_last)
    x, w, y = image(batch, inputs, size, size), image(outputs, inputs, kernel, kernel), image(batch, outputs, out, out)
    if op == "forward":
        return lambda: torch.nn.functional.conv2d(x, w, None, stride, pad)
    wanted = [op == "data", op == "weight", False]
    return lambda: torch.ops.aten.convolution_backward(y, x, w, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1,
                                                       wanted)


def torch_times(call):
    call()
    best, start = 1e9, time.thread_time()
    while time.thread_time() - start < SECONDS:
        begin = time.thread_time()
        call()
        best = min(best, time.thread_time() - begin)
    return 1e6 * best


def measure(a):
    import torch
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    output = open(a.output, "a") if a.output else None
    for name in a.names:
        for layer in layers_of(name):
            for op in OPS:
                if op == "data" and layer[1] <= 3:
                    continue  # nobody asks for the gradient of the images
                call = torch_call(layer, op)
                rounds = [(gradc_times(a.contract_bench, layer, op), torch_times(call)) for _ in range(a.rounds)]
                row = {"group": name, "layer": layer, "op": op, "gradc_us": min(r[0][0] for r in rounds),
                       "peak": max(r[0][1] for r in rounds), "onednn_us": min(r[1] for r in rounds)}
                print(f"{name:12} {op:8} {str(layer):36} {row['gradc_us']:9.1f} {row['onednn_us']:9.1f} us  "
                      f"{row['onednn_us'] / row['gradc_us']:.2f}", flush=True)
                if output:
                    output.write(json.dumps(row) + "\n")
                    output.flush()


def table(path):
    rows = {}
    for line in open(path):
        r = json.loads(line)
        rows[(r["group"], tuple(r["layer"]), r["op"])] = r  # the last measurement of each counts
    groups = dict.fromkeys(key[0] for key in rows)
    for group in groups:
        print(f"\n### {GROUPS[group]}\n")
        print("| channels | map | taps, stride | " + " | ".join(OPS) + " |\n|---" * 1 + "|---" * (2 + len(OPS)) + "|")
        for layer in dict.fromkeys(key[1] for key in rows if key[0] == group):
            _, inputs, outputs, size, kernel, stride, _ = layer
            cells = []
            for op in OPS:
                r = rows.get((group, layer, op))
                cells.append(f"{r['gradc_us']:,.0f}, {r['onednn_us'] / r['gradc_us']:.2f}, {r['peak']:.0f} %" if r else "")
            print(f"| {inputs} to {outputs} | {size}x{size} | {kernel}x{kernel}, {stride} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contract_bench", nargs="?")
    parser.add_argument("names", nargs="*", default=["lenet", "resnet50"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--output")
    parser.add_argument("--table")
    a = parser.parse_args()
    if a.table:
        table(a.table)
    elif not a.contract_bench:
        parser.error("CONTRACT_BENCH or --table")
    else:
        a.names = a.names or ["lenet", "resnet50"]
        measure(a)


if __name__ == "__main__":
    main()
