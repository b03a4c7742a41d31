"""A user's loss beside known ones of the same predictions, and the fault that makes it another."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdprobe.own.network import CallFailed, Subject
from sgdprobe.own.problem import Note, Problem
from sgdprobe.own.reference import softmax
from sgdprobe.own.source import place_of, place_of_function

Array = NDArray[Any]

SAME = 1e-3  # relative: the small number inside of the log changes a loss by less
SAME_LABELS = 1e-5
LOG_EPSILON = 1e-7


def label_forms(subject: Subject) -> Iterator[Problem | Note]:
    """Look at which labels are taken: integers, one-hot, or both with the same result."""
    one_hot, integers = subject.forms["one-hot"], subject.forms["integer"]
    if isinstance(one_hot, Exception) and isinstance(integers, Exception):
        yield _no_labels(subject, one_hot)
    elif isinstance(one_hot, Exception):
        yield Note(f"takes integer labels only; with one-hot labels {one_hot}")
    elif isinstance(integers, Exception):
        yield Note(
            f"takes one-hot labels only; with integer labels {integers}. For a batch of "
            f"{subject.classes} examples NumPy may take their shape without an error"
        )
    else:
        yield from _differing(subject, one_hot, integers)


def _no_labels(subject: Subject, error: Exception) -> Problem:
    if isinstance(error, CallFailed):
        expected = "a loss and a gradient for integer or one-hot labels"
        return Problem(str(error), expected, "an error", error.place)
    place = place_of(subject.network.method("loss"), r"\breturn\b")
    return Problem("loss() must return one number", "a number", str(error), place)


def _differing(
    subject: Subject, one_hot: tuple[float, Any], integers: tuple[float, Any]
) -> Iterator[Problem]:
    """Compare the results of both forms of labels."""
    if not _same(one_hot[0], integers[0], SAME_LABELS):
        yield Problem(
            "integer labels and one-hot labels of the same classes give different losses",
            f"the same; with one-hot labels {one_hot[0]:.6g}",
            f"with integers {integers[0]:.6g}",
            place_of_function(subject.network.module, "entropy", subject.network.method("loss")),
        )
        return
    if not isinstance(one_hot[1], dict) or not isinstance(integers[1], dict):
        return  # a later check says so
    again = subject.gradient(subject.tame, *subject.labelled_batch)
    if any(not np.allclose(again[key], given) for key, given in one_hot[1].items()):
        return
    for key, given in one_hot[1].items():
        other = integers[1].get(key, np.empty(0))
        if other.shape != given.shape or not np.allclose(given, other, rtol=SAME_LABELS):
            yield Problem(
                "integer labels and one-hot labels give different gradients",
                f"the same gradient of {key}",
                "another one",
                place_of(subject.network.method("gradient"), r"-\s*t\b"),
            )
            return


def known_losses(scores_or_y: Array, t: Array) -> Iterator[tuple[str, float, str]]:
    """Yield kinds of losses of these predictions: kind, value, and the fault if it is one.

    t : (n,) integers. Kinds are "cross_entropy" and "mean_squared_error".
    """
    y, n = scores_or_y.astype(np.float64), len(t)
    is_share = bool((y >= 0).all()) and np.allclose(y.sum(axis=1), 1, atol=1e-4)
    p = y if is_share else softmax(y)
    rows = np.arange(n)

    def entropy(p: Array, labels: Array) -> float:
        return float(-np.mean(np.log(p[rows, labels] + LOG_EPSILON)))

    classes = y.shape[1]
    right = entropy(p, t)
    one_hot = np.eye(classes)[t]
    squares = float(0.5 * np.sum((y - one_hot) ** 2) / n)
    entropy_, square = "cross_entropy", "mean_squared_error"
    yield entropy_, right, ""
    yield square, squares, ""
    yield entropy_, n * right, "the loss is the sum over the batch, not the mean"
    yield square, n * squares, "the loss is the sum over the batch, not the mean"
    yield entropy_, right / n, "the loss is divided by the size of the batch twice"
    yield entropy_, -right, "the loss has the wrong sign"
    yield entropy_, right / classes, "the loss is a mean over the classes, too"
    yield entropy_, right / math.log(2), "the loss takes log2, and its gradient is that of log"
    yield entropy_, right / math.log(10), "the loss takes log10, and its gradient is that of log"
    yield entropy_, entropy(p, (t + 1) % classes), "the labels in the loss are one too large"
    yield entropy_, entropy(p, (t - 1) % classes), "the labels in the loss are one too small"
    if is_share:
        yield entropy_, entropy(softmax(y), t), "the softmax is applied twice: predict() has it"


def kind_of_loss(subject: Subject, net: Any, x: Array, t: Array) -> tuple[str, str]:
    """Return which known loss a network has, and the fault in it; ("", "") for another loss.

    t : (n,) integers.
    """
    y = subject.predict(net, x)
    loss = float(subject.loss(net, x, subject.labels(t)))
    for kind, value, fault in known_losses(y, t):
        if abs(loss - value) <= SAME * max(abs(value), 1e-9):
            return kind, fault
    return "", ""


def loss_values(subject: Subject) -> Iterator[Problem | Note]:
    """Compare the loss of a batch with those of its examples, and with known losses."""
    x, t = subject.batch
    net, labels, n = subject.tame, subject.labels(t), len(t)
    loss = subject.loss(net, x, labels)
    place = place_of_function(subject.network.module, "entropy", subject.network.method("loss"))
    if np.ndim(loss) or not math.isfinite(float(loss)):
        found = f"shape {np.shape(loss)}" if np.ndim(loss) else str(loss)
        yield Problem("loss() must return one finite number", "a number", found, place)
        return
    if not _same(float(subject.loss(net, x, labels)), float(loss)):
        what = "loss() returns another number for the same batch at the second call"
        yield Problem(what, "the same number; without dropout, that is", "another", place)
        return
    kind, fault = kind_of_loss(subject, net, x, t)
    alone = [float(subject.loss(net, x[k : k + 1], labels[k : k + 1])) for k in range(n)]
    mean = float(np.mean(alone))
    expected = f"the mean of the losses of its {n} examples, {mean:.6g}"
    found = f"loss {float(loss):.6g} for the batch"
    if fault:
        right = next(value for known, value, wrong in known_losses(subject.predict(net, x), t)
                     if known == kind and not wrong)  # fmt: skip
        yield Problem(fault, f"{kind.replace('_', ' ')} {right:.6g}", found, place)
    elif _same(float(loss), n * mean):
        what = "the loss is the sum over the batch, not the mean"
        yield Problem(what, expected, found, place)
    elif not _same(float(loss), mean):
        what = "the loss of a batch is not the mean of its examples' losses"
        place = place_of_function(subject.network.module, "softmax", subject.network.method("loss"))
        yield Problem(f"{what}: a softmax over the whole batch?", expected, found, place)
    elif not kind:
        yield Note(
            f"loss() is no known loss of predict() ({float(loss):.6g} for a batch); "
            "it was not compared with that of a guess"
        )


def _same(a: float, b: float, tolerance: float = SAME) -> bool:
    return abs(a - b) <= tolerance * max(abs(a), abs(b), 1e-9)
