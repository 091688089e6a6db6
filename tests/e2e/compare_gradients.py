"""compare_gradients.py REFERENCE.npz OUT.npz METRICS.jsonl LOSSES: holds what `gradc grad` and `gradc train` wrote to what
another framework computed. Needs Python's own library only."""
import array
import json
import math
import sys
import zipfile

TOLERANCE = 1e-4  # ||a - b|| / max(||a||, 1e-3 sqrt(n))
LOSS_TOLERANCE = 1e-3


def arrays(path):
    """The f32 arrays of an .npz file, flat, by name."""
    found = {}
    with zipfile.ZipFile(path) as file:
        for name in file.namelist():
            data = file.read(name)
            header = 10 + int.from_bytes(data[8:10], "little")
            if b"'<f4'" in data[10:header]:
                found[name.removesuffix(".npy")] = array.array("f", data[header:])
            elif b"'<f8'" in data[10:header]:
                found[name.removesuffix(".npy")] = array.array("d", data[header:])
    return found


def norm(values):
    return math.sqrt(math.fsum(v * v for v in values))


reference, out = arrays(sys.argv[1]), arrays(sys.argv[2])
wanted = [n for n in reference if n in ("loss", "output", "grad_input") or n.startswith("grad/")]
assert len(wanted) > 5, wanted
worst, where = 0.0, ""
for name in wanted:
    a, b = reference[name], out[name]
    assert len(a) == len(b), f"{name}: {len(a)} and {len(b)} elements"
    error = norm(x - y for x, y in zip(a, b)) / max(norm(a), 1e-3 * math.sqrt(len(a)))
    if not error <= worst:
        worst, where = error, name
with open(sys.argv[3]) as file:
    losses = [json.loads(line)["loss"] for line in file]
recorded = reference[sys.argv[4]]
assert len(losses) == len(recorded), losses
off = max(abs(a - b) for a, b in zip(losses, recorded))
print(f"{len(wanted)} arrays, worst {worst:.1e} ({where}); losses differ by {off:.1e}")
sys.exit(not (worst <= TOLERANCE and off <= LOSS_TOLERANCE))
