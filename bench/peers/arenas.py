#!/usr/bin/env python3
"""Arenas of inference beside ONNX Runtime's, one thread.

usage: bench/peers/arenas.py GRADC MODEL.onnx...

ONNX Runtime traces the first run and from then on takes one block for all tensors that pass between nodes (its memory
pattern). Here its allocator takes from the system just what is asked for, so that the size of that block is in its log.
Buffers that its kernels use for themselves are not in the block; gradc's are in the arena. Neither counts weights, inputs
and outputs.
"""
import json
import os
import re
import subprocess
import sys


def run_traced(path):
    """In a process of its own, whose log goes to standard error."""
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 0
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.use_env_allocators", "1")
    onnxruntime.set_default_logger_severity(0)
    memory = onnxruntime.OrtMemoryInfo("Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0,
                                       onnxruntime.OrtMemType.DEFAULT)
    as_requested = onnxruntime.OrtArenaCfg({"arena_extend_strategy": 1, "initial_chunk_size_bytes": 1024, "max_mem": 0})
    onnxruntime.create_and_register_allocator(memory, as_requested)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {}
    for x in session.get_inputs():
        dims = [d if isinstance(d, int) else 1 for d in x.shape]
        feed[x.name] = numpy.ones(dims, numpy.float32 if "float" in x.type else numpy.int64)
    for _ in range(2):
        print("RUN", file=sys.stderr, flush=True)
        session.run(None, feed)


def onnxruntime_arena(path):
    done = subprocess.run([sys.executable, __file__, "--traced", path], capture_output=True, text=True, check=True)
    last_run = done.stderr.split("RUN\n")[2]
    blocks = [int(size) for size in re.findall(r"num_bytes: (\d+) \(actual\)", last_run)]
    if len(blocks) != 1:
        sys.exit(f"{path}: the second run took {len(blocks)} blocks from the system instead of one")
    return blocks[0]


def gradc_arena(gradc, path):
    command = [gradc, "info", path, "--json", "--threads", "1"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["arena_bytes"]["infer"]


def main():
    if sys.argv[1:2] == ["--traced"]:
        return run_traced(sys.argv[2])
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    print("| model | gradc, bytes | ONNX Runtime, bytes | ratio |\n|---|---|---|---|")
    for path in sys.argv[2:]:
        ours, theirs = gradc_arena(sys.argv[1], path), onnxruntime_arena(path)
        name = os.path.splitext(os.path.basename(path))[0]
        print(f"| {name} | {ours:,} | {theirs:,} | {ours / theirs:.3f} |", flush=True)


if __name__ == "__main__":
    main()
