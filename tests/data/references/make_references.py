"""The numbers that JAX gives for the models beside this file, in double precision.

usage: python make_references.py        (needs jax and numpy; writes NAME.npz for each NAME.model)

Each NAME.npz holds the inputs and results by name, state/S for each parameter and running
statistic S, new/S for each statistic after the step, grad/P for each parameter P, and grad_I for
each input I of floats.
"""
import os

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

jax.config.update("jax_enable_x64", True)
HERE = os.path.dirname(os.path.abspath(__file__))


def conv(x, w, stride=1, pad=0, dilation=1, groups=1):
    return lax.conv_general_dilated(x, w, (stride,) * 2, [(pad, pad)] * 2, rhs_dilation=(dilation,) * 2,
                                    feature_group_count=groups)


def conv_transpose(x, w, stride, pad):
    """Spreads the image, then correlates it with the mirrored weight [in, out, ...]."""
    mirrored = jnp.flip(w, (2, 3)).transpose(1, 0, 2, 3)
    reach = w.shape[2] - 1 - pad
    return lax.conv_general_dilated(x, mirrored, (1, 1), [(reach, reach)] * 2, lhs_dilation=(stride,) * 2)


def per_channel(p):
    return p[None, :, None, None]


def window(x, initial, fold, size, stride, pad):
    return lax.reduce_window(x, initial, fold, (1, 1, size, size), (1, 1, stride, stride),
                             [(0, 0), (0, 0), (pad, pad), (pad, pad)])


def normalize(x, axes, epsilon=1e-5):
    return (x - x.mean(axes, keepdims=True)) / jnp.sqrt(x.var(axes, keepdims=True) + epsilon)


def layer_norm(x, s, name):
    return normalize(x, (-1,)) * s[name + ".scale"] + s[name + ".bias"]


def dense(x, s, name):
    return x @ s[name + ".w"].T + s[name + ".b"]


def convnet(s, image, label):
    x = conv(image, s["conv_1.w"], stride=2, pad=1, groups=2)
    mean, variance, count = x.mean((0, 2, 3)), x.var((0, 2, 3)), x.size / x.shape[1]
    new = {"batch_norm_1.mean": 0.9 * s["batch_norm_1.mean"] + 0.1 * mean,
           "batch_norm_1.variance": 0.9 * s["batch_norm_1.variance"] + 0.1 * variance * count / (count - 1)}
    x = normalize(x, (0, 2, 3)) * per_channel(s["batch_norm_1.scale"]) + per_channel(s["batch_norm_1.bias"])
    x = jax.nn.hard_swish(x)
    x = jax.nn.mish(conv(x, s["conv_2.w"], pad=2, dilation=2, groups=6) + per_channel(s["conv_2.b"]))
    x = window(x, -jnp.inf, lax.max, 3, 2, 1)
    x = conv_transpose(x, s["conv_transpose_1.w"], 2, 1) + per_channel(s["conv_transpose_1.b"])
    grouped = x.reshape(x.shape[0], 3, -1)
    x = normalize(grouped, (2,)).reshape(x.shape)
    x = x * per_channel(s["group_norm_1.scale"]) + per_channel(s["group_norm_1.bias"])
    x = jax.nn.leaky_relu(x, 0.1)
    x = window(x, 0.0, lax.add, 3, 2, 1) / window(jnp.ones_like(x), 0.0, lax.add, 3, 2, 1)
    logits = dense(jax.nn.silu(x).reshape(x.shape[0], -1), s, "dense_1")
    loss = -jnp.take_along_axis(jax.nn.log_softmax(logits), label[:, None], 1).mean()
    return loss, {"logits": logits, "new": new}


def transformer(s, token, label):
    batch, time, width, heads = 2, 5, 8, 2
    x = s["embedding_1.w"][token] + s["position"]
    y = dense(layer_norm(x, s, "layer_norm_1"), s, "self_attention_1.dense_1")
    q, k, v = y.reshape(batch, time, 3, heads, width // heads).transpose(2, 0, 3, 1, 4)
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(width // heads)
    scores = jnp.where(np.tri(time, dtype=bool), scores, -jnp.inf)
    y = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(batch, time, width)
    x = x + dense(y, s, "self_attention_1.dense_2")
    y = dense(layer_norm(x, s, "layer_norm_2"), s, "dense_1")
    x = x + dense(jax.nn.gelu(y, approximate=False), s, "dense_2")
    x = x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * s["scale"]
    logits = dense(x, s, "dense_3")
    losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), label[..., None], 2)[..., 0]
    counted = label != 0
    return (losses * counted).sum() / counted.sum(), {"logits": logits, "new": {}}


def recurrent(s, sequence, target):
    def lstm(carry, x):
        h, c = carry
        i, f, g, o = jnp.split(x @ s["lstm_1.w"].T + h @ s["lstm_1.u"].T + s["lstm_1.b"], 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def gru(h, x):
        x_r, x_z, x_n = jnp.split(x @ s["gru_1.w"].T + s["gru_1.b"], 3, -1)
        h_r, h_z, h_n = jnp.split(h @ s["gru_1.u"].T, 3, -1)
        r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
        n = jnp.tanh(x_n + r * (h_n + s["gru_1.c"]))
        return (1 - z) * n + z * h, None

    zeros = jnp.zeros((sequence.shape[1], 4))
    (_, c), states = lax.scan(lstm, (zeros, zeros), sequence)
    last, _ = lax.scan(gru, zeros[:, :3], states)
    y = dense(jnp.concatenate([last, c], 1), s, "dense_1")
    return ((y - target) ** 2).mean(), {"y": y, "new": {}}


MODELS = {  # name: (function, inputs, state shapes)
    "convnet": (convnet, lambda r: {"image": r.normal(size=(3, 4, 9, 8)), "label": np.array([4, 0, 2])},
                {"conv_1.w": (6, 2, 3, 3), "batch_norm_1.scale": (6,), "batch_norm_1.bias": (6,),
                 "batch_norm_1.mean": (6,), "batch_norm_1.variance": (6,), "conv_2.w": (6, 1, 3, 3),
                 "conv_2.b": (6,), "conv_transpose_1.w": (6, 6, 3, 3), "conv_transpose_1.b": (6,),
                 "group_norm_1.scale": (6,), "group_norm_1.bias": (6,), "dense_1.w": (5, 36),
                 "dense_1.b": (5,)}),
    "transformer": (transformer, lambda r: {"token": r.integers(7, size=(2, 5)), "label": r.integers(7, size=(2, 5))},
                    {"embedding_1.w": (7, 8), "position": (5, 8), "layer_norm_1.scale": (8,), "layer_norm_1.bias": (8,),
                     "self_attention_1.dense_1.w": (24, 8), "self_attention_1.dense_1.b": (24,),
                     "self_attention_1.dense_2.w": (8, 8), "self_attention_1.dense_2.b": (8,),
                     "layer_norm_2.scale": (8,), "layer_norm_2.bias": (8,), "dense_1.w": (16, 8), "dense_1.b": (16,),
                     "dense_2.w": (8, 16), "dense_2.b": (8,), "scale": (8,), "dense_3.w": (7, 8), "dense_3.b": (7,)}),
    "recurrent": (recurrent, lambda r: {"sequence": r.normal(size=(4, 3, 5)), "target": r.normal(size=(3, 2))},
                  {"lstm_1.w": (16, 5), "lstm_1.u": (16, 4), "lstm_1.b": (16,), "gru_1.w": (9, 4), "gru_1.u": (9, 3),
                   "gru_1.b": (9,), "gru_1.c": (3,), "dense_1.w": (2, 7), "dense_1.b": (2,)}),
}


def reference(name):
    function, inputs_of, shapes = MODELS[name]
    random = np.random.default_rng(1)
    inputs = inputs_of(random)
    # Short decimals keep the files small.
    inputs = {k: v.round(2) if v.dtype.kind == "f" else v for k, v in inputs.items()}
    state = {k: random.normal(scale=0.6, size=shape).round(2) for k, shape in shapes.items()}
    state = {k: np.abs(v) if k.endswith("variance") else v for k, v in state.items()}
    floats = {k: v for k, v in inputs.items() if v.dtype.kind == "f"}
    rest = {k: v for k, v in inputs.items() if k not in floats}
    run = lambda s, f: function(s, **f, **rest)
    (loss, results), (by_state, by_input) = jax.value_and_grad(run, (0, 1), has_aux=True)(state, floats)
    new = results.pop("new")
    arrays = dict(inputs, loss=loss, **results)
    arrays.update({"state/" + k: v for k, v in state.items()})
    arrays.update({"new/" + k: v for k, v in new.items()})
    arrays.update({"grad/" + k: v for k, v in by_state.items() if k not in new})
    arrays.update({"grad_" + k: v for k, v in by_input.items()})
    np.savez_compressed(os.path.join(HERE, name), **{k: np.asarray(v) for k, v in arrays.items()})
    print(name, float(loss))


if __name__ == "__main__":
    for model in MODELS:
        reference(model)
