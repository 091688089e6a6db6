#!/usr/bin/env python3
"""Plans of graphs from files: every instance at every budget through `gradc plan --graph`, each plan
replayed by a checker that is not ours, and a table of what it costs.

usage: bench/planner_instances.py FOLDER CHECKER [NAME[:BUDGET,BUDGET..]...] [--best FILE] [--gradc FILE]
                                  [--effort STEPS] [--json FILE]

FOLDER has instances (docs/memory.md, "Graphs from files"). CHECKER is a Python module with `Inst(path)`, a
loaded instance with `base_cost`, and `check(instance, plan)`, which gives (peak bytes, cost, bytes of each step) or
raises ValueError. --best has {NAME: {"base_peak", "overhead_percent": {BUDGET: percent}}}: what was reached
before, or elsewhere. Budgets are shares of the peak without recomputation; NAME alone means those of --best.

Columns: overhead, best known, bound in percent of the time without recomputation; the gap to the bound and
what is behind the best in points; arena / peak; processor seconds, the start of the process included.
"""
import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUDGETS = ["0.25", "0.35", "0.50", "0.75"]
# Overheads of optimal or near-optimal rematerialization in the literature, for graphs that were published.
PUBLISHED = {"vgg16_b256": {"0.90": 1.97}, "fcn8_b32": {"0.70": 0.89}, "mobilenet_b512": {"0.50": 1.65, "0.30": 4.2},
             "unet_b32": {"0.70": 2.97, "0.50": 6.97, "0.40": 13.1}, "layered100": {"0.90": None, "0.80": None},
             "layered500": {"0.90": None, "0.80": None}}
BEHIND = 0.1  # points that a plan may be behind the best one known


def seconds_allowed(kernels):
    """2 s for 600 kernels, 10 s for 5,000."""
    return 2 + max(0, kernels - 600) * 8 / 4400


def processor_seconds():
    """Of all processes that were waited for: one thread each, so what it takes on a machine with nothing else to do."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def load_checker(path):
    spec = importlib.util.spec_from_file_location("checker", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Bench:
    def __init__(self, flags):
        self.flags = flags
        self.checker = load_checker(flags.checker)
        self.best = {name: dict(budgets) for name, budgets in PUBLISHED.items()}
        if flags.best:
            with open(flags.best, encoding="utf-8") as file:
                for name, known in json.load(file).items():
                    self.best.setdefault(name, {}).update(known["overhead_percent"])
        self.rows = []

    def plan(self, path, budget):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "plan.json")
            command = [self.flags.gradc, "plan", "--graph", path, "--budget", f"{budget}x", "--plan-out", out, "--json",
                       "--plan-effort", str(self.flags.effort)]
            start = processor_seconds()
            done = subprocess.run(command, capture_output=True, text=True)
            seconds = processor_seconds() - start
            if done.returncode == 4:
                return None, None, seconds
            if done.returncode:
                sys.exit(f"{' '.join(command)}: {done.stderr}")
            with open(out, encoding="utf-8") as file:
                return json.loads(done.stdout), json.load(file), seconds

    def row(self, path, name, instance, budget):
        said, plan, seconds = self.plan(path, budget)
        row = {"name": name, "budget": budget, "kernels": len(instance.K), "seconds": seconds,
               "best": self.best.get(name, {}).get(budget), "impossible": said is None}
        if said:
            try:
                peak, cost, _ = self.checker.check(instance, plan)
            except ValueError as error:
                sys.exit(f"{name} {budget}: the checker refuses the plan: {error}")
            if (peak, cost) != (said["peak"], said["cost"]) or peak > said["budget"]:
                sys.exit(f"{name} {budget}: peak {peak}, cost {cost} by the checker, but {said}")
            row.update(overhead=100 * (cost / instance.base_cost - 1), bound=said["bound_percent"], peak=peak,
                       arena=said["arena"])
        self.rows.append(row)
        self.show(row)

    def show(self, row):
        best = "" if row["best"] is None else f"{row['best']:.3f}"
        late = " slow" if row["seconds"] > seconds_allowed(row["kernels"]) * max(1, self.flags.effort) else ""
        if row["impossible"]:
            print(f"{row['name']:16}{row['budget']:>6}{'none':>9}{best:>9}{'':32}{row['seconds']:8.2f}{late}", flush=True)
            return
        behind = row["overhead"] - row["best"] if best else 0
        marks = (" behind" if behind > BEHIND else "") + late
        print(f"{row['name']:16}{row['budget']:>6}{row['overhead']:9.3f}{best:>9}{row['bound']:8.3f}"
              f"{row['overhead'] - row['bound']:8.3f}{f'{behind:.3f}' if best else '':>8}"
              f"{row['arena'] / row['peak']:8.4f}{row['seconds']:8.2f}{marks}", flush=True)

    def run(self):
        print(f"{'graph':16}{'share':>6}{'overhead':>9}{'best':>9}{'bound':>8}{'gap':>8}{'behind':>8}{'arena':>8}{'s':>8}")
        wanted = dict((name.split(":") + [""])[:2] for name in self.flags.names)
        names = sorted(name[:-5] for name in os.listdir(self.flags.folder) if name.endswith(".json"))
        for name in wanted:
            if name not in names:
                sys.exit(f"{name}: no such instance in {self.flags.folder}")
        for name in names:
            if wanted and name not in wanted:
                continue
            path = os.path.join(self.flags.folder, f"{name}.json")
            instance = self.checker.Inst(path)
            budgets = wanted.get(name) or ",".join(self.best.get(name, BUDGETS))
            for budget in budgets.split(","):
                self.row(path, name, instance, budget)
        self.summary()

    def summary(self):
        found = [row for row in self.rows if not row["impossible"]]
        known = [row for row in found if row["best"] is not None]
        behind = [row for row in known if row["overhead"] > row["best"] + BEHIND]
        open_ones = [row for row in known if row["best"] > row["bound"] + 0.5]
        better = [row for row in open_ones if row["overhead"] < row["best"] - 1e-3]
        exact = [row for row in found if row["arena"] == row["peak"]]
        print(f"\n{len(self.rows)} plans, {len(self.rows) - len(found)} of them not found")
        print(f"{len(behind)} of {len(known)} more than {BEHIND} points behind the best known; better at {len(better)} of "
              f"the {len(open_ones)} where that is more than 0.5 points above the bound")
        print(f"arena = peak at {len(exact)} of {len(found)}, at most {max(r['arena'] / r['peak'] for r in found):.4f}")
        late = [row for row in self.rows if row["seconds"] > seconds_allowed(row["kernels"]) * max(1, self.flags.effort)]
        print(f"{sum(row['seconds'] for row in self.rows):.1f} s in all, {len(late)} above what their size allows")
        if self.flags.json:
            with open(self.flags.json, "w", encoding="utf-8") as file:
                json.dump(self.rows, file, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("checker")
    parser.add_argument("names", nargs="*", metavar="NAME[:BUDGET,BUDGET..]")
    parser.add_argument("--best")
    parser.add_argument("--gradc", default=os.path.join(ROOT, "build/release/bin/gradc"))
    parser.add_argument("--effort", type=float, default=1)
    parser.add_argument("--json")
    Bench(parser.parse_args()).run()


if __name__ == "__main__":
    main()
