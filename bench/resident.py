#!/usr/bin/env python3
"""Resident memory by the OS against what a budget counts, over models and budgets.

    bench/resident.py GRADC RUNTIME_LIB [--threads 2] [MODEL[:BATCH]]...

For each model the training step is compiled within 100, 70, 50 and 40 percent of its arena. A program without a compiler
(bench/resident.c) links the object and runs it; `gradc bench` runs the same step, with all kernels in its cache and
compiling them. Peak resident bytes (VmHWM, getrusage) less arena, state, inputs and outputs are what comes on top: it has to
stay below what is stated here and in docs/memory.md, whatever the budget, or this exits with 1. What compiling takes is
shown only.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODELS = ["lenet", "resnet20:32", "gpt:4", "deep_mlp", "unet:4"]
MIB = 1 << 20
# Stacks, libc's heap, and the pages of code that ran; for gradc also those of LLVM, the model and its plan.
PROGRAM, COMPILER = 4 * MIB, 48 * MIB


def run(*command, stdout=subprocess.PIPE):
    """Its output and the most that it had resident."""
    process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True)
    out, error = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode == 4:
        return None, 0
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: {error}")
    return out, usage.ru_maxrss * 1024


class Model:
    def __init__(self, arguments, name, folder):
        self.gradc, self.library, self.threads = arguments.gradc, arguments.runtime, str(arguments.threads)
        self.folder, self.name = folder, name
        file, _, batch = name.partition(":")
        self.flags = [file if "/" in file else f"{SOURCE}/examples/{file}.model", "--threads", self.threads] + (["--batch", batch] if batch else [])

    def budget_flags(self, budget):
        return ["--memory", str(budget)] if budget else []

    def program(self, budget):
        out, _ = run(self.gradc, "compile", *self.flags, "--train", *self.budget_flags(budget), "--name", "model",
                     "-o", self.folder)
        if out is None:
            return None
        run("cc", "-O2", f"-I{SOURCE}/runtime", f"{SOURCE}/bench/resident.c", f"{self.folder}/model.o", self.library, "-lstdc++",
            "-lm", "-lpthread", "-o", f"{self.folder}/program")
        out, _ = run(f"{self.folder}/program", self.threads)
        return json.loads(out)

    def bench(self, budget):
        """Resident bytes of gradc that compiles all kernels, and of one that finds them in its cache."""
        def bench(*cache):
            return run(self.gradc, "bench", *self.flags, *cache, "--train", *self.budget_flags(budget), "--seconds",
                       "0.1")[1]

        cache = "--cache", f"{self.folder}/cache"
        bench(*cache)
        return bench("--no-cache"), bench(*cache)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gradc")
    parser.add_argument("runtime")
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    print("| model, batch | budget | arena | state, inputs, outputs | program | on top | gradc bench | on top | compiling |\n"
          "|---|---|---|---|---|---|---|---|---|")
    mib = lambda size: f"{size / MIB:.1f}"
    failed = False
    for name in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            model = Model(arguments, name, folder)
            free = None
            for share in [None, 0.7, 0.5, 0.4]:
                budget = share and int(free * share)
                seen = model.program(budget)
                if seen is None:
                    continue
                free = free or seen["arena"]
                counted = seen["arena"] + seen["state"] + seen["io"]
                compiling, compiler = model.bench(budget)
                tops = seen["resident"] - counted, compiler - counted
                print(f"| {name.replace(':', ', ')} | {mib(budget) if budget else 'none'} | {mib(seen['arena'])} "
                      f"| {mib(counted - seen['arena'])} | {mib(seen['resident'])} | {mib(tops[0])} | {mib(compiler)} "
                      f"| {mib(tops[1])} | {mib(compiling)} |", flush=True)
                if budget and seen["arena"] > budget or tops[0] > PROGRAM or tops[1] > COMPILER:
                    print(f"{name}: more than is stated", file=sys.stderr)
                    failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
