#!/usr/bin/env python3
"""Models of torchvision and transformers through gradc: each is exported by PyTorch's two exporters, trains
a step, and its output, loss and gradients are held against PyTorch's in double precision.

usage: python bench/torch_models.py GRADC [MODEL[:EXPORTER]...] [--folder DIR]
       (needs torch, torchvision, transformers, onnx, onnxscript, numpy; EXPORTER: torchscript or dynamo)

Single precision cannot tell resnet50's gradients at these weights: rectifiers flip, and PyTorch's own are off by 2e-2.
It is exported in double precision as well, which is judged; in single it must come as close as PyTorch does.

Prints a line for each: the parameters, the worst ||a - b|| / max(||a||, 1e-3 sqrt(n)) over all arrays of
gradc, the same of PyTorch in single precision, and seconds of `gradc grad`. Weights are random; dropout and
stochastic depth are off, batch norm runs on the batch.
"""
import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torchvision.ops import StochasticDepth

warnings.filterwarnings("ignore")
TOLERANCE = 1e-4


class Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids):
        # Without a mask of its own, the model looks for packed sequences by ops that no exporter has.
        return self.model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits


def gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel
    config = GPT2Config(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, n_layer=12)
    return Logits(GPT2LMHeadModel(config))


def vision(name):
    def make():
        model = getattr(torchvision.models, name)(weights=None)
        for module in model.modules():
            if isinstance(module, (torch.nn.Dropout, StochasticDepth)):
                module.p = 0.0
        return model
    return make


IMAGES = ["resnet50", "mobilenet_v3_small", "efficientnet_b0", "vit_b_16", "convnext_tiny"]
MODELS = {**{name: vision(name) for name in IMAGES}, "gpt2": gpt2}
CHAOTIC = ["resnet50"]  # in single precision
EXPORTERS = ["torchscript", "dynamo"]


def batch_of(name):
    numbers = torch.Generator().manual_seed(1)
    if name == "gpt2":
        ids = torch.randint(0, 50257, (2, 33), generator=numbers)
        return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    return torch.randn((2, 3, 224, 224), generator=numbers), torch.randint(0, 1000, (2,), generator=numbers)


def made(name):
    torch.manual_seed(0)
    model = MODELS[name]().train()
    for key, parameter in model.named_parameters():
        if key.endswith("bias"):  # an exporter drops those that are zero
            torch.nn.init.normal_(parameter, std=0.02)
        elif ".ln_" in key:  # an exporter merges those that are equal
            torch.nn.init.normal_(parameter, 1.0, std=0.02)
    return model


def answers(name, x, target, dtype):
    """PyTorch's output, loss and gradients, by the names that gradc gives them."""
    model = made(name).to(dtype)
    x = x.to(dtype, copy=True).requires_grad_() if x.is_floating_point() else x
    output = model(x)
    loss = F.cross_entropy(output.flatten(0, -2), target.flatten())
    loss.backward()
    found = {"output": output, "loss": loss}
    if x.grad is not None:
        found["grad_input"] = x.grad
    for key, parameter in model.named_parameters():
        found["grad/" + key] = parameter.grad
    return {key: value.detach().double().numpy() for key, value in found.items()}


def exported(name, exporter, x, path):
    model = made(name).to(x.dtype if x.is_floating_point() else torch.float32)
    names = {"input_names": ["input"], "output_names": ["output"]}
    if exporter == "torchscript":
        torch.onnx.export(model, (x,), path, opset_version=17, dynamo=False, do_constant_folding=False,
                          training=torch.onnx.TrainingMode.TRAINING, **names)
    else:
        # Its optimizer would fold batch norms into convolutions; without it, gpt2 has sequences of tensors.
        torch.onnx.export(model.eval(), (x,), path, dynamo=True, optimize=name == "gpt2", external_data=True,
                          verbose=False, **names)


def error(a, b):
    return np.linalg.norm(a - b) / max(np.linalg.norm(a), 1e-3 * np.sqrt(a.size))


def worst(right, seen):
    errors = {key: error(value.ravel(), seen[key].ravel().astype(np.float64)) for key, value in right.items()}
    key = max(errors, key=errors.get)
    return errors[key], key


def run(gradc, *arguments):
    begin = time.monotonic()
    result = subprocess.run([gradc, *arguments], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError("gradc %s: %s" % (arguments[0], result.stderr.strip()[-1500:]))
    return time.monotonic() - begin


def judge(gradc, name, exporter, right, single, x, target, folder):
    is_double = x.dtype == torch.float64
    label = "%-20s %-11s %s" % (name, exporter, "f64" if is_double else "f32")
    path = os.path.join(folder, "%s_%s.onnx" % (name, exporter))
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            exported(name, exporter, x, path)
    except Exception as problem:  # the exporter's, which cannot take every model
        return "%s not exported: %s" % (label, str(problem).strip().splitlines()[0][:120]), True
    feed, out, metrics = (os.path.join(folder, f) for f in ("feed.npz", "out.npz", "metrics.jsonl"))
    np.savez(feed, input=x.numpy(), target=target.numpy())
    train = ["--train-mode", "--loss", "cross_entropy", "--feed", feed]
    try:
        seconds = run(gradc, "grad", path, *train, "-o", out)
        run(gradc, "train", path, *train, "--steps", "1", "--optimizer", "sgd", "--lr", "0.01", "--metrics", metrics)
    except RuntimeError as problem:
        return "%s FAILED %s" % (label, problem), False
    arrays = dict(np.load(out))
    tied = "grad/model.lm_head.weight"  # an exporter chooses one of two names
    if tied in arrays:
        arrays["grad/model.transformer.wte.weight"] = arrays[tied]
    missing = [key for key in right if key not in arrays]
    if missing:
        return "%s FAILED: %d of %d arrays are missing, e.g. %s" % (
            label, len(missing), len(right), ", ".join(missing[:3])), False
    worst_error, where = worst(right, arrays)
    single_error, _ = worst(right, single)
    with open(metrics) as lines:
        step_loss = json.loads(lines.readline())["loss"]
    is_chaotic = name in CHAOTIC and not is_double
    good = worst_error <= (2 * single_error if is_chaotic else TOLERANCE) and abs(step_loss - right["loss"]) <= 1e-3
    return "%s %s %3d gradients, worst %.1e (%s), PyTorch's single precision %.1e, %.0f s" % (
        label, "ok" if good else "FAILED", len(right) - 2, worst_error, where, single_error, seconds), good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gradc")
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--folder", help="keep the models here")
    arguments = parser.parse_args()
    all_good = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or temporary
        os.makedirs(folder, exist_ok=True)
        for wanted in arguments.models:
            name, _, exporter = wanted.partition(":")
            x, target = batch_of(name)
            right = answers(name, x, target, torch.float64)
            single = answers(name, x, target, torch.float32)
            for each in [exporter] if exporter else EXPORTERS:
                for given in [x, x.double()] if name in CHAOTIC else [x]:
                    line, good = judge(arguments.gradc, name, each, right, single, given, target, folder)
                    print(line, flush=True)
                    all_good &= good
    return 0 if all_good else 1


if __name__ == "__main__":
    sys.exit(main())
