#!/usr/bin/env python3
"""How long a program with a compiled model takes from its start to the end of the first training step.

    bench/first_step.py build/release/bin/gradc [MODEL] [--runs 20] [--threads 1]

Compiles the model (examples/mlp.model), links the object file with the runtime and a main that creates the model, initialises
its weights and runs one step, and starts that program again and again. The clock starts before fork and exec; the program reads
it when the step is done. Prints the least and the median of what each stage took, in ms.
"""

import argparse
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

MAIN = """
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <vector>
#include "NAME.hpp"

static long long now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main() {
  long long start = now();
  NAME::Model model(THREADS);
  model.init(1);
  long long ready = now();
  NAME::TrainStep step;
INPUTS
  model.run(step);
  std::printf("%lld %lld %lld %g\\n", start, ready, now(), static_cast<double>(step.loss));
}
"""

INPUT = """  std::vector<TYPE> NAME(step.NAME_size, TYPE(1));
  step.NAME = NAME.data();"""


def build(gradc, model, threads, folder):
    name = pathlib.Path(model).stem
    subprocess.run([gradc, "compile", model, "--train", "--threads", str(threads), "-o", folder / name],
                   check=True, stdout=subprocess.DEVNULL)
    header = (folder / name / f"{name}.hpp").read_text()
    step = header[header.index("struct TrainStep"):]
    inputs = re.findall(r"^\s*const ([\w:]+)\* (\w+) = nullptr;", step[:step.index("};")], re.M)
    if not inputs:
        sys.exit(f"{name}.hpp: no inputs in TrainStep")
    text = MAIN.replace("INPUTS", "\n".join(INPUT.replace("TYPE", dtype).replace("NAME", value) for dtype, value in inputs))
    source = folder / "main.cpp"
    source.write_text(text.replace("NAME", name).replace("THREADS", str(threads)))
    root = pathlib.Path(__file__).resolve().parent.parent
    runtime = pathlib.Path(gradc).resolve().parent.parent / "runtime" / "libgradc_runtime.a"
    program = folder / "first_step"
    subprocess.run(["c++", "-std=c++17", "-O2", f"-I{folder / name}", f"-I{root}", source, folder / name / f"{name}.o",
                    runtime, "-lpthread", "-o", program], check=True)
    return program


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gradc")
    parser.add_argument("model", nargs="?", default="examples/mlp.model")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    stages = {"start of the program": [], "model and weights": [], "step": [], "in all": []}
    with tempfile.TemporaryDirectory() as folder:
        program = build(options.gradc, options.model, options.threads, pathlib.Path(folder))
        for _ in range(options.runs):
            begin = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            done = subprocess.run([program], check=True, capture_output=True, text=True)
            start, ready, end = (int(word) for word in done.stdout.split()[:3])
            for stage, passed in zip(stages, (start - begin, ready - start, end - ready, end - begin)):
                stages[stage].append(passed / 1e6)
    for stage, passed in stages.items():
        print(f"{stage:22} {min(passed):6.2f} {statistics.median(passed):6.2f}")


if __name__ == "__main__":
    main()
