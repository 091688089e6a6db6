#!/usr/bin/env python3
"""gradc and its peers on the same models, in turn: all programs are loaded and warm, then each measures for a moment,
round after round, so that what else the machine does hits all of them alike.

usage: python bench/peers/compare.py GRADC [MODEL...] [--threads 1,2] [--kinds train,infer] [--peers eager,jax,...]
                                     [--rounds 5] [--seconds 0.5] [--folder DIR] [-o RESULTS.jsonl] [--flags "..."]
       python bench/peers/compare.py --table RESULTS.jsonl         the tables of docs/performance.md

MODEL is one of bench/peers/models.py, or the name of a network of torchvision, such as mobilenet_v2.

Needs torch, torchvision, onnx, jax, onnxruntime, openvino from PyPI. Peers that a model or the environment does not have
are left out with a note. The loss before the first step must agree within 1e-4 of gradc's, else the row says so.
"""
import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = ["tiny_mlp", "mlp", "lenet", "deep_mlp", "gpt_small", "resnet18_cifar", "resnet50", "lstm"]
INFERENCE_ONLY = ["onnxruntime", "openvino"]
PEERS = {"train": ["eager", "eager_cl", "compile", "jax"], "infer": INFERENCE_ONLY}


class Program:
    """A process that measures once for each line that it is sent."""

    def __init__(self, name, command, threads):
        cpus = sorted(os.sched_getaffinity(0))[-threads:]
        self.name, self.rounds, self.facts = name, [], None
        self.errors = open(os.path.join("/tmp", f"compare-{os.getpid()}-{name}.err"), "w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True, cwd=HERE, preexec_fn=lambda: os.sched_setaffinity(0, cpus))

    def read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        self.errors.seek(0)
        raise RuntimeError(self.errors.read().strip()[-400:] or "it ended without a word")

    def start(self):
        self.facts = self.read()

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.rounds.append(self.read())

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.errors.close()
        os.unlink(self.errors.name)


def gradc_command(a, model, kind, threads):
    path = os.path.join(a.folder, f"{model}.{kind}")
    command = [a.gradc, "bench", path + ".onnx", "--feed", path + ".npz", "--threads", str(threads), "--seconds",
               str(a.seconds), "--on-request", *shlex.split(a.flags)]
    if kind == "train":
        import models
        command += ["--train", "--train-mode", "--loss", "cross_entropy", *models.optimizer_flags(model)]
    return command


def peer_command(a, model, kind, peer, threads):
    return [sys.executable, "worker.py", model, kind, peer, str(threads), a.folder, str(a.seconds)]


def best(program):
    return min(r["step_ms"]["min"] for r in program.rounds)


def middle(program):
    medians = sorted(r["step_ms"]["median"] for r in program.rounds)
    return medians[len(medians) // 2]


def compare(a, model, kind, threads):
    import models
    peers = [p for p in (a.peers or PEERS[kind]) if kind == "infer" or p not in INFERENCE_ONLY]
    peers = [p for p in peers if not p.endswith("_cl") or models.is_convolutional(model)]
    commands = {"gradc": gradc_command(a, model, kind, threads)}
    commands.update({p: peer_command(a, model, kind, p, threads) for p in peers})
    programs = []
    for name, command in commands.items():  # one after the other: compiling is not timed, but disturbs
        program = Program(name, command, threads)
        try:
            program.start()
            programs.append(program)
        except RuntimeError as problem:
            print(f"{model} {kind}: no {name}: {problem}", file=sys.stderr, flush=True)
            program.stop()
            if name == "gradc":
                return None
    for _ in range(a.rounds):
        for program in programs:
            program.measure()
            time.sleep(0.05)  # threads that spin go to sleep
    gradc = programs[0]
    row = {"model": model, "kind": kind, "threads": threads, "cpu": cpu_name(), "date": time.strftime("%Y-%m-%d"),
           "peak_gflops": max(r["peak_gflops"] for r in gradc.rounds),
           "contraction_gflop": gradc.facts["contraction_flops"] * 1e-9,
           "times": {p.name: {"min": best(p), "median": middle(p), "compile_ms": p.facts["compile_ms"]}
                     for p in programs},
           "losses": {p.name: p.facts["loss"] for p in programs if "loss" in p.facts}}
    for program in programs:
        program.stop()
    return row


def cpu_name():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def fastest_peer(row):
    peers = {name: t["min"] for name, t in row["times"].items() if name != "gradc"}
    return min(peers, key=peers.get) if peers else None


def line_of(row):
    times = row["times"]
    texts = [f"{name} {t['min']:.3f}/{t['median']:.3f}" for name, t in times.items()]
    peer = fastest_peer(row)
    ratio = f"{times[peer]['min'] / times['gradc']['min']:.2f}x {peer}" if peer else ""
    share = row["contraction_gflop"] / times["gradc"]["min"] * 1e3 / row["peak_gflops"]
    wrong = [name for name, loss in row["losses"].items() if abs(loss - row["losses"]["gradc"]) > 1e-4 * abs(loss)]
    return (f"{row['model']:15} {row['kind']} {row['threads']}t  {ratio:20} {share:4.0%} of peak  ms min/median: "
            + ", ".join(texts) + (f"  LOSS DIFFERS: {row['losses']}" if wrong else ""))


def tables(rows):
    for kind, title in (("train", "Training step"), ("infer", "Inference")):
        names = [n for n in ["gradc", *PEERS[kind]] if any(n in r["times"] for r in rows if r["kind"] == kind)]
        print(f"\n### {title}, ms (minimum / median)\n")
        print("| model | threads | " + " | ".join(names) + " | best peer / gradc | products at % of FMA peak |")
        print("|---|---|" + "---|" * (len(names) + 2))
        for row in rows:
            if row["kind"] != kind:
                continue
            times = row["times"]
            cells = [f"{times[n]['min']:.4g} / {times[n]['median']:.4g}" if n in times else "" for n in names]
            peer = fastest_peer(row)
            ratio = f"{times[peer]['min'] / times['gradc']['min']:.2f} ({peer})" if peer else ""
            share = row["contraction_gflop"] / times["gradc"]["min"] * 1e3 / row["peak_gflops"]
            print(f"| {row['model']} | {row['threads']} | " + " | ".join(cells) + f" | {ratio} | {share:.0%} |")
    machines = sorted({(r["cpu"], r["date"]) for r in rows})
    print("\nMeasured on " + "; ".join(f"{cpu}, {date}" for cpu, date in machines) + ".")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gradc", nargs="?")
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--kinds", default="train,infer")
    parser.add_argument("--peers", type=lambda text: text.split(","))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--folder", default="/tmp/gradc-peers")
    parser.add_argument("--flags", default="", help="more flags for gradc bench, e.g. '--conv winograd'")
    parser.add_argument("-o", dest="results")
    parser.add_argument("--table")
    a = parser.parse_args()
    if a.table:
        tables([json.loads(line) for line in open(a.table)])
        return
    if not a.gradc:
        parser.error("which gradc?")
    a.gradc, a.folder = os.path.abspath(a.gradc), os.path.abspath(a.folder)
    os.makedirs(a.folder, exist_ok=True)
    for model in a.models:
        exporter = "import models, sys; models.export(sys.argv[1], sys.argv[2])"
        subprocess.run([sys.executable, "-W", "ignore", "-c", exporter, model, a.folder], cwd=HERE, check=True)
        for kind in a.kinds.split(","):
            for threads in map(int, a.threads.split(",")):
                row = compare(a, model, kind, threads)
                if row:
                    print(line_of(row), flush=True)
                    if a.results:
                        with open(a.results, "a") as results:
                            results.write(json.dumps(row) + "\n")


main()
