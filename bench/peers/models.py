"""The benchmark models in PyTorch: float32, static shapes, fixed seeds. gradc gets them as ONNX, JAX as jax_models.py
with the same weights; every peer's loss before the first step must agree."""
import os
from functools import partial

import torch
import torch.nn as nn
import torch.nn.functional as F


def mlp():
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))


def tiny_mlp():
    """Almost no arithmetic: what a call and a kernel cost."""
    return nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))


def lenet():
    return nn.Sequential(nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(3136, 256), nn.ReLU(), nn.Linear(256, 10))


def deep_mlp():
    layers = []
    for _ in range(64):
        linear = nn.Linear(512, 512)
        nn.init.xavier_normal_(linear.weight, gain=5 / 3)
        nn.init.normal_(linear.bias, std=0.01)  # an exporter merges biases that are equal
        layers.append(nn.Sequential(linear, nn.Tanh()))
    return nn.Sequential(*layers, nn.Linear(512, 10))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.down = None
        if stride != 1 or inputs != outputs:
            self.down = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.down is None else self.down(x)))


class ResNet18Cifar(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(64)
        blocks, inputs = [], 64
        for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            blocks += [BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1)]
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(512, 10)

    def forward(self, x):
        x = self.blocks(F.relu(self.bn(self.stem(x))))
        return self.fc(x.mean((2, 3)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.heads = heads

    def forward(self, x):
        batch, time, width = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(batch, time, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(a.transpose(1, 2).reshape(batch, time, width))
        return x + self.fc2(F.gelu(self.fc1(self.ln2(x))))


class GPT(nn.Module):
    def __init__(self, layers=6, width=384, heads=6, context=256, vocabulary=512):
        super().__init__()
        self.tok = nn.Embedding(vocabulary, width)
        self.pos = nn.Parameter(torch.randn(context, width) * 0.02)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.ln = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, ids):
        return self.head(self.ln(self.blocks(self.tok(ids) + self.pos)))


class LSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(128, 256, batch_first=True)
        self.fc = nn.Linear(256, 10)

    def forward(self, x):
        return self.fc(self.rnn(x)[0][:, -1])


def of_torchvision(name):
    """A network of that package. Nothing is dropped, so that all peers have one loss."""
    import torchvision
    if name in torchvision.models.list_models(module=torchvision.models.segmentation):
        network = torchvision.models.segmentation.__dict__[name](weights=None, weights_backbone=None)
        return Output(network, "out")
    more = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    network = torchvision.models.get_model(name, weights=None, **more)
    for module in network.modules():
        if isinstance(module, (nn.Dropout, torchvision.ops.StochasticDepth)):
            module.p = 0.0
    return network


class Output(nn.Module):
    """One of several outputs."""

    def __init__(self, network, key):
        super().__init__()
        self.network, self.key = network, key

    def forward(self, x):
        return self.network(x)[self.key]


# name -> (constructor, inference input, training input, classes); other names are torchvision's
MODELS = {
    "tiny_mlp": (tiny_mlp, (8, 32), (8, 32), 10),
    "mlp": (mlp, (128, 784), (128, 784), 10),
    "lenet": (lenet, (64, 1, 28, 28), (64, 1, 28, 28), 10),
    "deep_mlp": (deep_mlp, (256, 512), (256, 512), 10),
    "gpt_small": (GPT, (4, 256), (4, 256), 512),
    "resnet18_cifar": (ResNet18Cifar, (32, 3, 32, 32), (32, 3, 32, 32), 10),
    "resnet50": (partial(of_torchvision, "resnet50"), (1, 3, 224, 224), (4, 3, 224, 224), 1000),
    "lstm": (LSTM, (32, 64, 128), (32, 64, 128), 10),
}
SIZES_IN_TRAINING = {"vit_b_16": 224, "swin_t": 224, "swin_v2_t": 224, "maxvit_t": 224}  # of torchvision's; else 128


def facts_of(name):
    size = SIZES_IN_TRAINING.get(name, 128)
    return MODELS.get(name) or (partial(of_torchvision, name), (1, 3, 224, 224), (8, 3, size, size), 1000)


def is_convolutional(name):
    return len(facts_of(name)[1]) == 4


def build(name):
    torch.manual_seed(0)
    return facts_of(name)[0]()


def batch(name, train):
    """Input and target."""
    _, inference_shape, training_shape, classes = facts_of(name)
    shape = training_shape if train else inference_shape
    numbers = torch.Generator().manual_seed(1)
    if name.startswith("gpt"):
        ids = torch.randint(0, classes, (shape[0], shape[1] + 1), generator=numbers)
        return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    return torch.randn(shape, generator=numbers), torch.randint(0, classes, (shape[0],), generator=numbers)


def loss_of(logits, target):
    return F.cross_entropy(logits.flatten(0, -2), target.flatten())


def optimizer(name, parameters):
    if name.startswith("gpt"):
        return torch.optim.AdamW(parameters, lr=1e-4)
    return torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)


# The same for gradc.
def optimizer_flags(name):
    if name.startswith("gpt"):
        return ["--optimizer", "adamw", "--lr", "1e-4"]
    return ["--optimizer", "sgd", "--lr", "1e-3", "--momentum", "0.9"]


def export(name, folder):
    """NAME.infer.onnx, NAME.train.onnx and a batch for each, NAME.infer.npz with the output as well; once."""
    import numpy as np
    done = os.path.join(folder, name + ".train.npz")
    if os.path.exists(done):
        return
    for train in (False, True):
        kind = "train" if train else "infer"
        model = build(name).train(train)
        x, target = batch(name, train)
        mode = torch.onnx.TrainingMode.TRAINING if train else torch.onnx.TrainingMode.EVAL
        torch.onnx.export(model, (x,), os.path.join(folder, f"{name}.{kind}.onnx"), opset_version=17, dynamo=False,
                          training=mode, do_constant_folding=not train, input_names=["input"],
                          output_names=["output"])
        arrays = {"input": x.numpy()}
        if train:
            arrays["target"] = target.numpy()
        else:
            with torch.no_grad():
                arrays["output"] = model(x).numpy()
        np.savez(os.path.join(folder, f"{name}.{kind}.npz"), **arrays)
