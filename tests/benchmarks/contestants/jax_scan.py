"""How fast is JAX, with a whole epoch in one compiled `lax.scan`?

The images stay on the device as bytes, each step gathers and scales its own batch, and the old
weights' memory is given to the new ones. Python is called once an epoch.
"""

import importlib
from typing import Any

import numpy as np
from problem import LEARNING_RATE, SIZES, Indices, Problem

jax: Any = importlib.import_module("jax")
jnp: Any = importlib.import_module("jax.numpy")

CHUNK = 1000  # images a step when all are evaluated: the fastest of 500 … 60,000
Params = list[tuple[Any, Any]]


def _scores(params: Params, images: Any) -> Any:
    x = images.astype(jnp.float32) * (1 / 255)
    *hidden, (W, b) = params
    for W_k, b_k in hidden:
        x = jax.nn.sigmoid(x @ W_k + b_k)
    return x @ W + b


def _loss(params: Params, images: Any, t: Any) -> Any:
    log_y = jax.nn.log_softmax(_scores(params, images))
    return -jnp.mean(jnp.take_along_axis(log_y, t[:, None], axis=1))


def _epoch(params: Params, images: Any, labels: Any, masks: Any) -> Any:
    def update(params: Params, mask: Any) -> Any:
        # mode="clip" spares a check of each index; all are in range.
        x = jnp.take(images, mask, axis=0, mode="clip")
        t = jnp.take(labels, mask, mode="clip")
        loss, grads = jax.value_and_grad(_loss)(params, x, t)
        return jax.tree.map(lambda p, g: p - LEARNING_RATE * g, params, grads), loss

    return jax.lax.scan(update, params, masks)


def _right(params: Params, images: Any, labels: Any) -> Any:
    def chunk(xt: Any) -> Any:
        return jnp.sum(jnp.argmax(_scores(params, xt[0]), axis=1) == xt[1])

    chunks = images.reshape(-1, CHUNK, images.shape[1]), labels.reshape(-1, CHUNK)
    return jnp.sum(jax.lax.map(chunk, chunks))


epoch = jax.jit(_epoch, donate_argnums=0)
right = jax.jit(_right)


class JaxScan:
    def __init__(self, problem: Problem) -> None:
        self.train = (
            jnp.asarray(problem.data.train_images),
            jnp.asarray(problem.train_labels.astype(np.int32)),
        )
        self.test = (
            jnp.asarray(problem.data.test_images),
            jnp.asarray(problem.test_labels.astype(np.int32)),
        )
        self.params = [
            (jnp.array(problem.params[f"W{k}"]), jnp.array(problem.params[f"b{k}"]))
            for k in range(1, len(SIZES))
        ]

    def updates(self, masks: Indices) -> None:
        self.params, _ = epoch(self.params, *self.train, jnp.asarray(masks.astype(np.int32)))
        jax.block_until_ready(self.params)

    def evaluate(self) -> tuple[float, float]:
        return self._accuracy(*self.train), self._accuracy(*self.test)

    def _accuracy(self, images: Any, labels: Any) -> float:
        return int(right(self.params, images, labels)) / len(labels)
