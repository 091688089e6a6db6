"""One peer on one model, in a process of its own: prints a line of JSON when it is ready, then measures once per line on
standard input, as `gradc bench --on-request` does.

usage: worker.py MODEL infer|train PEER THREADS FOLDER SECONDS
"""
import json
import os
import statistics
import sys
import time

NAME, KIND, PEER, THREADS, FOLDER, SECONDS = sys.argv[1:7]
THREADS, SECONDS = int(THREADS), float(SECONDS)
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before any import of a peer
    os.environ[variable] = str(THREADS)
TRAIN = KIND == "train"


def torch_call():
    import torch
    import models
    torch.set_num_threads(THREADS)
    base, _, variant = PEER.partition("_")
    compiled = torch.compile if base == "compile" else (lambda f: f)
    model = models.build(NAME).train(TRAIN)
    x, target = models.batch(NAME, TRAIN)
    if variant == "cl":  # channels last
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    if not TRAIN:
        call = compiled(model)

        def infer():
            with torch.inference_mode() if base == "eager" else torch.no_grad():
                return call(x)
        return infer, None
    optimizer = models.optimizer(NAME, model.parameters())
    loss_of = compiled(lambda x, target: models.loss_of(model(x), target))
    update = compiled(optimizer.step)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(x, target)
        loss.backward()
        update()
        return loss
    return step, lambda loss: loss.item()


def jax_call():
    os.environ["JAX_PLATFORMS"] = "cpu"
    if THREADS == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    import jax
    import jax_models
    import models
    parameters, statistics_ = jax_models.from_torch(NAME, models.build(NAME))
    x, target = map(jax_models.input_of, models.batch(NAME, TRAIN))
    infer, start, step = jax_models.functions(NAME)
    if not TRAIN:
        compiled = jax.jit(infer)
        return lambda: jax.block_until_ready(compiled(parameters, statistics_, x)), None
    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    state = [parameters, statistics_, start(parameters), None]

    def train():
        state[:] = compiled(state[0], state[1], state[2], x, target)
        jax.block_until_ready(state)
        return state[3]
    return train, float


def onnxruntime_call():
    import numpy
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    session = onnxruntime.InferenceSession(f"{FOLDER}/{NAME}.infer.onnx", options, providers=["CPUExecutionProvider"])
    x = numpy.load(f"{FOLDER}/{NAME}.infer.npz")["input"]
    return lambda: session.run(None, {"input": x})[0], None


def openvino_call():
    import numpy
    import openvino
    model = openvino.Core().compile_model(f"{FOLDER}/{NAME}.infer.onnx", "CPU", {
        "INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False})
    request = model.create_infer_request()
    x = openvino.Tensor(numpy.load(f"{FOLDER}/{NAME}.infer.npz")["input"])
    return lambda: request.infer({0: x}, share_inputs=True, share_outputs=True)[0], None


def make_call():
    """What is timed, and its result as the loss (None in inference)."""
    if PEER == "jax":
        return jax_call()
    if PEER == "onnxruntime":
        return onnxruntime_call()
    if PEER == "openvino":
        return openvino_call()
    return torch_call()


def say(facts):
    print(json.dumps(facts), flush=True)


def main():
    begin = time.perf_counter()
    call, loss_of = make_call()
    first = call()
    ready = {"compile_ms": 1e3 * (time.perf_counter() - begin)}
    if loss_of:
        ready["loss"] = loss_of(first)
    for _ in range(2):
        call()
    say(ready)
    for _ in sys.stdin:
        times, end = [], time.perf_counter() + SECONDS
        while len(times) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            call()
            times.append(1e3 * (time.perf_counter() - start))
        say({"step_ms": {"min": min(times), "median": statistics.median(times)}, "runs": len(times)})


main()
