#!/usr/bin/env python3
"""What budgets cost as planned and as measured, over real models, as a table for docs/memory.md.

    bench/plan_budgets.py build/release/bin/gradc [--seconds 1] [--threads 1] [MODEL[:BATCH]]... [-- FLAG...]

A MODEL with a slash is a file, else one of examples/; flags behind -- go to gradc, such as --bind blocks=64 or the loss of an
.onnx file. Runs `gradc plan MODEL --measure --json`, which steps through all plans of a model in turns, and prints for each budget the
recomputation that was planned and what the step took more than the one without a budget.
"""

import argparse
import json
import subprocess
import sys

MODELS = ["lenet", "resnet20:32", "resnet18:8", "gpt:4", "deep_mlp", "unet:4", "revnet:32"]


def budgets_of(gradc, model, seconds, threads, flags):
    name, _, batch = model.partition(":")
    command = [gradc, "plan", f"examples/{name}.model" if "/" not in name else name, "--measure", "--json",
               "--seconds", str(seconds), "--threads", str(threads), *flags]
    if batch:
        command += ["--batch", batch]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return json.loads(done.stdout)["budgets"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gradc")
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--threads", type=int, default=1)
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    arguments, flags = parser.parse_args(sys.argv[1:split]), sys.argv[split + 1:]
    print("| model, batch | budget, share of the arena | arena, bytes | planned, % | at least, % | measured, % |")
    print("|---|---|---|---|---|---|")
    for model in arguments.models:
        rows = [row for row in budgets_of(arguments.gradc, model, arguments.seconds, arguments.threads, flags)
                if row["arena_bytes"] is not None]
        free = rows[0]
        for row in rows[1:]:
            measured = row["step_ms"] / free["step_ms"] - 1
            print(f"| {model.replace(':', ', ')} | {row['budget'] / free['budget']:.2f} | {row['arena_bytes']:,} "
                  f"| {100 * row['overhead']:.2f} | {100 * row['bound']:.2f} | {100 * measured:.2f} |", flush=True)


main()
