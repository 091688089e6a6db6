#!/usr/bin/env python3
"""The runs and plots of docs/vanishing-gradients.md.

usage: bench/vanishing.py [GRADC] [STEPS]

Trains examples/vanishing.model in five variants and five depths (some minutes), and
writes docs/images/vanishing-*.svg and the tables of the text on standard output. Needs Debian's
dataset-fashion-mnist and nothing but Python's own library.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GRADC = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build/release/bin/gradc")
STEPS = int(sys.argv[2]) if len(sys.argv) > 2 else 600
DEPTHS = [5, 10, 20, 40, 64]
VARIANTS = ["sigmoid", "tanh", "tanh, Glorot", "relu, He", "residual relu"]
# Okabe and Ito's colours, told apart by dashes too; the first is lighter on a dark page.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"]
DARK_FIRST = "#56b4e9"
DASHES = ["", "6 3", "2 3", "10 3 2 3", "4 2 1 2 1 2"]
SHOWN = 20  # depth of the detailed plots
LONG = 5 * STEPS  # steps of the two runs in which layers saturate


class Run:
    def __init__(self, variant, depth, rate="0.05", steps=STEPS):
        with tempfile.TemporaryDirectory() as folder:
            metrics = os.path.join(folder, "metrics.jsonl")
            command = [GRADC, "train", os.path.join(ROOT, "examples/vanishing.model"), "--data", "fashion-mnist",
                       "--bind", f"variant={variant}", "--bind", f"layers={depth}", "--steps", str(steps),
                       "--optimizer", "sgd", "--lr", rate, "--seed", "1", "--threads", "1", "--health-every", "50",
                       "--metrics", metrics, "--json"]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode and not os.path.exists(metrics):
                sys.exit(done.stderr)
            if done.returncode:
                print(f"{VARIANTS[variant]}, {depth} layers: {done.stderr}", file=sys.stderr)
            lines = [json.loads(line) for line in open(metrics)]
        self.losses = [line["loss"] for line in lines if "loss" in line]
        self.health = {line["step"]: line["health"] for line in lines if "health" in line}
        self.first, self.last = min(self.health), max(self.health)

    def hidden(self, step, what):
        """By hidden layer, from the input on."""
        layers = self.health[step]
        return [numbers.get(what, 0.0) for name, numbers in layers.items() if name.startswith("hidden")]

    def by_step(self, what):
        """A line over the steps for each hidden layer."""
        steps = sorted(self.health)
        return [list(zip(steps, values)) for values in zip(*(self.hidden(step, what) for step in steps))]

    def end(self):
        if None in self.losses:
            return f"not finite in step {self.losses.index(None)}"
        return f"{sum(self.losses[-50:]) / 50:.2f}"

    def smoothed_losses(self):
        window = max(1, len(self.losses) // 30)
        means = []
        for begin in range(0, len(self.losses) - window + 1, window):
            part = [loss for loss in self.losses[begin:begin + window] if loss is not None]
            if part:
                means.append((begin + window / 2, sum(part) / len(part)))
        return means


class Chart:
    """Panels side by side, each with its own axes, and one legend."""
    WIDTH, HEIGHT, LEFT, TOP, GAP = 210, 190, 62, 54, 26

    def __init__(self, title, panels, x_label, y_label, log=False, y_range=None, names=VARIANTS):
        self.log, self.names = log, names
        values = [y for _, lines in panels for line in lines for _, y in line if y > 0 or not log]
        low, high = y_range or (min(values), max(values))
        if log:
            low, high = math.floor(math.log10(low)), math.ceil(math.log10(high))
        self.low, self.high = low, max(high, low + 1e-9)
        width = max(self.LEFT + len(panels) * (self.WIDTH + self.GAP), 660)
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {self.TOP + self.HEIGHT + 76}" '
            f'width="{width}" font-family="sans-serif" font-size="12" role="img">',
            f"<title>{title}</title>",
            f"<style>text{{fill:#222}}.axis{{stroke:#888}}.grid{{stroke:#ddd}}.first{{stroke:{COLOURS[0]}}}"
            "@media(prefers-color-scheme:dark){text{fill:#ddd}.axis{stroke:#999}.grid{stroke:#444}"
            f".first{{stroke:{DARK_FIRST}}}}}</style>",
            f'<text x="{self.LEFT}" y="18" font-size="14" font-weight="bold">{title}</text>',
            f'<text transform="translate(14 {self.TOP + self.HEIGHT / 2}) rotate(-90)" text-anchor="middle">{y_label}'
            "</text>"]
        for i, (name, lines) in enumerate(panels):
            self.panel(i, name, lines, x_label)
        self.legend()
        self.parts.append("</svg>")

    def y(self, value):
        if self.log:
            value = math.log10(value) if value > 0 else self.low
        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.TOP + self.HEIGHT * (1 - part)

    def ticks(self):
        if self.log:
            step = max(1, math.ceil((self.high - self.low) / 6))
            return [(10.0 ** e, f"1e{e}") for e in range(self.low, self.high + 1, step)]
        step = 10 ** math.floor(math.log10(self.high - self.low))
        if (self.high - self.low) / step < 3:
            step /= 2
        first = math.ceil(self.low / step)
        return [(k * step, f"{k * step:g}") for k in range(first, int(self.high / step + 1e-9) + 1)]

    def panel(self, i, name, lines, x_label):
        left = self.LEFT + i * (self.WIDTH + self.GAP)
        right, bottom = left + self.WIDTH, self.TOP + self.HEIGHT
        x_high = max(x for line in lines for x, _ in line)
        x_low = min(1 if x_label == "layer" else 0, *(x for line in lines for x, _ in line))
        place = lambda x: left + self.WIDTH * (x - x_low) / max(x_high - x_low, 1e-9)
        self.parts.append(f'<text x="{(left + right) / 2}" y="{self.TOP - 8}" text-anchor="middle">{name}</text>')
        for value, text in self.ticks():
            y = self.y(value)
            self.parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
            if i == 0:
                self.parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
        self.parts.append(f'<path class="axis" fill="none" d="M{left} {self.TOP}V{bottom}H{right}"/>')
        for x in (x_low, x_high):
            anchor = "start" if x == x_low else "end"
            self.parts.append(f'<text x="{place(x):.1f}" y="{bottom + 15}" text-anchor="{anchor}">{x:g}</text>')
        self.parts.append(f'<text x="{(left + right) / 2}" y="{bottom + 15}" text-anchor="middle">{x_label}</text>')
        for line, colour, dash in zip(lines, COLOURS, DASHES):
            points = " ".join(f"{place(x):.1f},{self.y(y):.1f}" for x, y in line)
            self.parts.append(f'<polyline fill="none" {self.pen(colour, dash)} points="{points}"/>')

    @staticmethod
    def pen(colour, dash):
        stroke = 'class="first"' if colour == COLOURS[0] else f'stroke="{colour}"'
        return f'{stroke} stroke-width="2"' + (f' stroke-dasharray="{dash}"' if dash else "")

    def legend(self):
        x, y = self.LEFT, self.TOP + self.HEIGHT + 46
        for name, colour, dash in zip(self.names, COLOURS, DASHES):
            self.parts.append(f'<line x1="{x}" x2="{x + 32}" y1="{y - 4}" y2="{y - 4}" {self.pen(colour, dash)}/>')
            self.parts.append(f'<text x="{x + 38}" y="{y}">{name}</text>')
            x += 60 + 7 * len(name)

    def write(self, name):
        path = os.path.join(ROOT, "docs/images", f"vanishing-{name}.svg")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write("\n".join(self.parts) + "\n")


def numbered(values):
    return list(enumerate(values, 1))


def by_layer(runs, step, what, depth):
    return [numbered(run[depth].hidden(getattr(run[depth], step), what)) for run in runs]


def print_table(title, runs, cell):
    print(f"\n{title}\n")
    print("| layers | " + " | ".join(VARIANTS) + " |")
    print("|---" * (len(VARIANTS) + 1) + "|")
    for depth in DEPTHS:
        print(f"| {depth} | " + " | ".join(cell(run[depth]) for run in runs) + " |")


def main():
    runs = [{depth: Run(variant, depth) for depth in DEPTHS} for variant in range(len(VARIANTS))]

    Chart("Norm of the gradient by hidden layer, before the first update",
          [(f"{depth} layers", by_layer(runs, "first", "gradient", depth)) for depth in DEPTHS],
          "layer", "gradient (L2)", log=True).write("gradient")
    Chart(f"The same in training, {SHOWN} layers",
          [(f"step {step}", [numbered(run[SHOWN].hidden(step if step in run[SHOWN].health else run[SHOWN].last,
                                                        "gradient")) for run in runs])
           for step in (0, 100, 300, runs[0][SHOWN].last)],
          "layer", "gradient (L2)", log=True).write("gradient-training")
    Chart(f"What leaves the hidden layers, {SHOWN} layers",
          [(f"root mean square, {when}", by_layer(runs, step, "activation", SHOWN))
           for step, when in (("first", "at the start"), ("last", "at the end"))],
          "layer", "activation", log=True).write("activation")
    names = [f"layer {layer}" for layer in range(1, 6)]
    sigmoid, tanh = Run(0, 5, "0.5", LONG), Run(1, 5, "0.5", LONG)
    Chart("Saturation: five layers at the learning rate 0.5",
          [("sigmoid: mean of the output", sigmoid.by_step("mean")),
           ("tanh: part of the elements that are flat", tanh.by_step("flat"))],
          "step", "", y_range=(0, 1), names=names).write("saturation")
    Chart("Training loss",
          [(f"{depth} layers", [run[depth].smoothed_losses() for run in runs]) for depth in DEPTHS],
          "step", "cross entropy", y_range=(0, 2.6)).write("loss")

    print_table("Gradient of the first hidden layer as a part of the last one's, before the first update", runs,
                lambda run: f"{run.hidden(run.first, 'gradient')[0] / run.hidden(run.first, 'gradient')[-1]:.1e}")
    print_table(f"Mean loss of the last 50 of {STEPS} steps", runs,
                lambda run: run.end())
    for name, run in (("sigmoid", sigmoid), ("tanh", tanh)):
        print(f"\n{name}, five layers, rate 0.5: loss {run.end()}")
        for what in ("mean", "flat"):
            print(what, {step: [round(x, 3) for x in run.hidden(step, what)] for step in (run.first, 500, run.last)})
    print_table("Root mean square of the last hidden layer's output, before the first update", runs,
                lambda run: f"{run.hidden(run.first, 'activation')[-1]:.2g}")


if __name__ == "__main__":
    main()
