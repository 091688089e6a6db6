"""The models of models.py in plain JAX, with the weights of the PyTorch ones. Images are NHWC, which XLA prefers."""
import jax
import jax.numpy as jnp
from jax import lax


def from_torch(name, model):
    """Parameters and running statistics by PyTorch's names."""
    parameters, statistics = {}, {}
    for key, value in model.state_dict().items():
        if "num_batches" in key:
            continue
        array = value.numpy()
        if array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)  # OIHW -> HWIO
        (statistics if "running_" in key else parameters)[key] = jnp.array(array)
    if name == "lenet":  # flattened as C,H,W -> H,W,C
        weight = parameters["7.weight"]
        parameters["7.weight"] = weight.reshape(256, 64, 7, 7).transpose(0, 2, 3, 1).reshape(256, 3136)
    return parameters, statistics


def input_of(x):
    array = x.numpy()
    return jnp.array(array.transpose(0, 2, 3, 1) if array.ndim == 4 else array)


def dense(p, name, x):
    return x @ p[name + ".weight"].T + p[name + ".bias"]


def conv(p, name, x, stride=1, pad=1):
    y = lax.conv_general_dilated(x, p[name + ".weight"], (stride, stride), [(pad, pad)] * 2,
                                 dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return y + p[name + ".bias"] if name + ".bias" in p else y


def max_pool(x, size=2, stride=2, pad=0):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, size, size, 1), (1, stride, stride, 1),
                             [(0, 0), (pad, pad), (pad, pad), (0, 0)])


def batch_norm(p, s, fresh, name, x, train):
    if train:
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        count = x.size // x.shape[-1]
        fresh[name + ".running_mean"] = 0.9 * s[name + ".running_mean"] + 0.1 * mean
        fresh[name + ".running_var"] = 0.9 * s[name + ".running_var"] + 0.1 * variance * (count / (count - 1))
    else:
        mean, variance = s[name + ".running_mean"], s[name + ".running_var"]
    return (x - mean) * (lax.rsqrt(variance + 1e-5) * p[name + ".weight"]) + p[name + ".bias"]


def layer_norm(p, name, x):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * p[name + ".weight"] + p[name + ".bias"]


# Each: (parameters, statistics, x, train) -> (output, statistics)


def mlp(p, s, x, train):
    x = jax.nn.relu(dense(p, "0", x))
    x = jax.nn.relu(dense(p, "2", x))
    return dense(p, "4", x), s


def lenet(p, s, x, train):
    x = max_pool(jax.nn.relu(conv(p, "0", x, 1, 2)))
    x = max_pool(jax.nn.relu(conv(p, "3", x, 1, 2)))
    x = jax.nn.relu(dense(p, "7", x.reshape(x.shape[0], -1)))
    return dense(p, "9", x), s


def deep_mlp(p, s, x, train):
    for layer in range(64):
        x = jnp.tanh(dense(p, f"{layer}.0", x))
    return dense(p, "64", x), s


def resnet18_cifar(p, s, x, train):
    fresh = dict(s)
    x = jax.nn.relu(batch_norm(p, s, fresh, "bn", conv(p, "stem", x), train))
    for block in range(8):
        name, stride = f"blocks.{block}", 2 if block in (2, 4, 6) else 1
        y = jax.nn.relu(batch_norm(p, s, fresh, name + ".bn1", conv(p, name + ".conv1", x, stride), train))
        y = batch_norm(p, s, fresh, name + ".bn2", conv(p, name + ".conv2", y), train)
        if name + ".down.0.weight" in p:
            x = batch_norm(p, s, fresh, name + ".down.1", conv(p, name + ".down.0", x, stride, 0), train)
        x = jax.nn.relu(x + y)
    return dense(p, "fc", x.mean((1, 2))), fresh


def resnet50(p, s, x, train):
    fresh = dict(s)

    def norm(name, x):
        return batch_norm(p, s, fresh, name, x, train)
    x = max_pool(jax.nn.relu(norm("bn1", conv(p, "conv1", x, 2, 3))), 3, 2, 1)
    for stage, blocks in enumerate((3, 4, 6, 3), 1):
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}", 2 if block == 0 and stage > 1 else 1
            y = jax.nn.relu(norm(name + ".bn1", conv(p, name + ".conv1", x, 1, 0)))
            y = jax.nn.relu(norm(name + ".bn2", conv(p, name + ".conv2", y, stride, 1)))
            y = norm(name + ".bn3", conv(p, name + ".conv3", y, 1, 0))
            if name + ".downsample.0.weight" in p:
                x = norm(name + ".downsample.1", conv(p, name + ".downsample.0", x, stride, 0))
            x = jax.nn.relu(x + y)
    return dense(p, "fc", x.mean((1, 2))), fresh


def gpt_small(p, s, ids, train, heads=6, layers=6):
    def block(x, name):
        batch, time, width = x.shape
        qkv = dense(p, name + ".qkv", layer_norm(p, name + ".ln1", x)).reshape(batch, time, 3, heads, width // heads)
        q, k, v = jnp.moveaxis(qkv, (2, 3), (0, 2))
        scores = jnp.einsum("bhtd,bhsd->bhts", q, k) * (width // heads) ** -0.5
        weights = jax.nn.softmax(jnp.where(jnp.tril(jnp.ones((time, time), bool)), scores, -jnp.inf), -1)
        x = x + dense(p, name + ".proj", jnp.einsum("bhts,bhsd->bthd", weights, v).reshape(batch, time, width))
        y = jax.nn.gelu(dense(p, name + ".fc1", layer_norm(p, name + ".ln2", x)), approximate=False)
        return x + dense(p, name + ".fc2", y)
    x = p["tok.weight"][ids] + p["pos"]
    for layer in range(layers):
        x = block(x, f"blocks.{layer}")
    return dense(p, "head", layer_norm(p, "ln", x)), s


def lstm(p, s, x, train):
    recurrent = p["rnn.weight_hh_l0"]
    bias = p["rnn.bias_ih_l0"] + p["rnn.bias_hh_l0"]
    inputs = jnp.swapaxes(x @ p["rnn.weight_ih_l0"].T + bias, 0, 1)

    def cell(state, row):
        h, c = state
        i, f, g, o = jnp.split(row + h @ recurrent.T, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None
    zero = jnp.zeros((x.shape[0], recurrent.shape[1]))
    (h, _), _ = lax.scan(cell, (zero, zero), inputs)
    return dense(p, "fc", h), s


FORWARD = {"mlp": mlp, "tiny_mlp": mlp, "lenet": lenet, "deep_mlp": deep_mlp, "resnet18_cifar": resnet18_cifar,
           "resnet50": resnet50, "gpt_small": gpt_small, "lstm": lstm}


def functions(name):
    """infer(p, s, x); the optimizer's state from p; step(p, s, state, x, y) -> p, s, state, loss."""
    forward, tree = FORWARD[name], jax.tree.map

    def loss(p, s, x, y):
        logits, fresh = forward(p, s, x, True)
        logits, y = logits.reshape(-1, logits.shape[-1]), y.reshape(-1)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean(), fresh

    def adamw_state(p):
        return {"m": tree(jnp.zeros_like, p), "v": tree(jnp.zeros_like, p), "t": jnp.zeros(())}

    def adamw(p, g, state):
        t = state["t"] + 1
        m = tree(lambda m, g: 0.9 * m + 0.1 * g, state["m"], g)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, state["v"], g)
        p = tree(lambda p, m, v: p * (1 - 1e-6) - 1e-4 * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8),
                 p, m, v)
        return p, {"m": m, "v": v, "t": t}

    def momentum_state(p):
        return tree(jnp.zeros_like, p)

    def momentum(p, g, state):
        state = tree(lambda m, g: 0.9 * m + g, state, g)
        return tree(lambda p, m: p - 1e-3 * m, p, state), state

    start, update = (adamw_state, adamw) if name.startswith("gpt") else (momentum_state, momentum)

    def step(p, s, state, x, y):
        (value, s), g = jax.value_and_grad(loss, has_aux=True)(p, s, x, y)
        p, state = update(p, g, state)
        return p, s, state, value

    return lambda p, s, x: forward(p, s, x, False)[0], start, step
