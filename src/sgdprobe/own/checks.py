"""Checks of a user's network class, in the order in which faults are to be mended.

Each yields problems and notes. A check that finds a problem and is `blocking` makes the ones after
it impossible.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sgdprobe.own.gradients import gradient_values
from sgdprobe.own.learning import first_weights, learns
from sgdprobe.own.losses import label_forms, loss_values
from sgdprobe.own.network import METHODS, CallFailed, NetworkClass, Subject
from sgdprobe.own.problem import Note, Problem
from sgdprobe.own.source import methods_of, place_of, place_of_function, place_of_parameter

NEAR = 1e-6  # relative: two computations of the same number
SUM_OF_ROWS = 1e-6
LARGE_SCORE = 2000.0  # beyond 709, where exp overflows in float64

Found = Iterator[Problem | Note]


def near(a: Any, b: Any, tolerance: float = NEAR) -> bool:
    """Return whether two numbers or arrays are the same but for rounding; in float32 less so."""
    a, b = np.asarray(a), np.asarray(b)
    if np.float32 in (a.dtype, b.dtype):
        tolerance = max(tolerance, 1e-4)
    size = max(float(np.abs(a).max()), float(np.abs(b).max()), 1e-12)
    return bool(np.abs(a - b).max() <= tolerance * size)


def interface(subject: Subject) -> Found:
    """Look for the book's names: params, a dict of float arrays, and the three methods."""
    network, net = subject.network, subject.network.new()
    for name in methods_of(network.kind, METHODS):
        yield Problem(
            f"the class has no method {name}()",
            "params, predict(x), loss(x, t) and gradient(x, t)",
            ", ".join(n for n in vars(network.kind) if not n.startswith("_")) or "no method",
            place_of(network.kind),
        )
    params = getattr(net, "params", None)
    place = place_of(network.method("__init__"), r"\.params\b")
    if not isinstance(params, dict) or not params:
        found = "no params" if params is None else f"{type(params).__name__}"
        yield Problem("params is no dict of arrays", '{"W1": …, "b1": …, …}', found, place)
        return
    for name, values in params.items():
        if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
            kind = getattr(values, "dtype", type(values).__name__)
            yield Problem(
                f"params['{name}'] is no array of floats", "float64 or float32", str(kind), place
            )


def prediction(subject: Subject) -> Found:
    """Look at what predict() returns: its shape, whether it is finite, what it changes."""
    x, _ = subject.batch
    given, net = x.copy(), subject.tame
    place = place_of(subject.network.method("predict"), r"\breturn\b")
    before = {name: values.copy() for name, values in net.params.items()}
    y = subject.predict(net, given)
    shape = (len(x), subject.classes)
    if y.shape != shape or y.dtype.kind != "f":
        expected = f"floats of shape {shape}: a row for each example, a column for each class"
        found = f"{y.dtype} of shape {y.shape}"
        yield Problem("predict() returns another shape", expected, found, place)
        return
    if not np.isfinite(y).all():
        share = 100 * float(np.mean(~np.isfinite(y)))
        yield Problem(
            "predict() returns NaN or infinity", "finite numbers", f"{share:.0f} % are not", place
        )
        return
    if not np.array_equal(given, x):
        yield Problem(
            "predict() changes its argument x", "x as it was", "other values in x",
            place_of(subject.network.method("predict")),
        )  # fmt: skip
    for name, values in net.params.items():
        if not np.array_equal(values, before[name]):
            yield Problem(
                f"predict() changes params['{name}']", "the same weights", "other weights", place
            )
    if not near(subject.predict(net, x), y):
        yield Problem(
            "predict() returns other values for the same x at the second call",
            "the same values; without dropout, that is",
            "other values",
            place,
        )


def one_example(subject: Subject) -> Found:
    """Compare each example's output with the one it has alone; add up probabilities."""
    x, _ = subject.batch
    y = subject.predict(subject.tame, x)
    sums, n = y.sum(axis=1), len(x)
    place = place_of_function(subject.network.module, "softmax", subject.network.method("predict"))
    expected = "the outputs of each example sum to 1, whatever else is in the batch"
    shown = f"the rows of a batch of {n} sum to {sums.min():.4g} … {sums.max():.4g}"
    if (y >= 0).all() and near(y.sum(), 1.0, 1e-4):
        what = "the softmax spans the whole batch: its sum must be over each row (axis=1)"
        yield Problem(what, expected, f"{shown}, all together to 1", place)
        return
    if (y >= 0).all() and near(y.sum(axis=0), np.ones(y.shape[1]), 1e-4):
        what = "the softmax sums over the examples: it must sum over the classes (axis=1)"
        yield Problem(what, expected, f"{shown}, the columns to 1", place)
        return
    alone = np.concatenate([subject.predict(subject.tame, x[k : k + 1]) for k in range(n)])
    if not near(alone, y, 1e-5):
        k = int(np.abs(alone - y).max(axis=1).argmax())
        yield Problem(
            "the output of an example depends on the others in its batch",
            f"example {k} alone: {_row(alone[k])}",
            f"in a batch of {n}: {_row(y[k])}",
            place,
        )
    elif (y >= 0).all() and (y <= 1).all() and not near(sums, np.ones(n), SUM_OF_ROWS):
        yield Note(f"predict() returns scores, or outputs that are no probabilities: {shown}")


def _row(values: Any) -> str:
    return " ".join(f"{value:.4g}" for value in values[:4]) + " …" * (len(values) > 4)


def parameters_used(subject: Subject) -> Found:
    """Change each parameter in place, as an update does, and see if the loss changes."""
    x, t = subject.labelled_batch
    net, rng = subject.tame, np.random.default_rng(5)
    base, unused = subject.loss(net, x, t), []
    for name, values in net.params.items():
        kept = values.copy()
        values += rng.standard_normal(values.shape)
        if subject.loss(net, x, t) == base:
            unused.append(name)
        values[...] = kept
    if len(unused) == len(net.params):
        yield Problem(
            "updates do not reach the network: predict() does not use the arrays in params",
            "params['W1'] -= … changes the loss",
            "no change of params changes it: predict() uses copies, or params are copies",
            place_of(subject.network.method("__init__"), r"\.copy\(|\bcopy", r"\.params\b"),
        )
        return
    for name in unused:
        yield Problem(
            f"the loss does not depend on params['{name}']",
            f"predict() uses {name}",
            f"another {name} gives the same loss",
            place_of_parameter(subject.network.method("predict"), name),
        )


def gradient_form(subject: Subject) -> Found:
    """Look at what gradient() returns: its names, shapes, and whether it is finite."""
    x, t = subject.labelled_batch
    net, method = subject.tame, subject.network.method("gradient")
    before = {name: values.copy() for name, values in net.params.items()}
    grads = subject.gradient(net, x, t)
    if not isinstance(grads, dict):
        expected = "a dict with the names of params"
        yield Problem(
            "gradient() returns no dict", expected, type(grads).__name__,
            place_of(method, r"\breturn\b"),
        )  # fmt: skip
        return
    for name, values in net.params.items():
        place = place_of_parameter(method, name)
        if name not in grads:
            what = f"{name} does not change: gradient() returns no '{name}'"
            yield Problem(
                what, ", ".join(net.params), ", ".join(map(str, grads)) or "nothing",
                place_of(method, r"\breturn\b"),
            )  # fmt: skip
            continue
        given = np.asarray(grads[name])
        if given.shape != values.shape or given.dtype.kind != "f":
            hint = ": sum over the examples (axis=0)" if values.ndim == 1 else ""
            yield Problem(
                f"the gradient of {name} has another shape than {name}{hint}",
                f"{values.shape}", f"{given.shape} {given.dtype}", place,
            )  # fmt: skip
        elif not np.isfinite(given).all():
            what = f"the gradient of {name} is NaN or infinite"
            yield Problem(what, "finite numbers", "NaN or infinity", place)
        if not np.array_equal(values, before[name]):
            what = f"gradient() changes params['{name}']"
            yield Problem(what, "the same weights", "other weights", place)
            values[...] = before[name]
    if extra := [str(name) for name in grads if name not in net.params]:
        yield Note(f"gradient() also returns {', '.join(extra)}, which params does not have")
    again = subject.gradient(net, x, t)
    for name in net.params:
        if name in grads and not near(again[name], np.asarray(grads[name]), 1e-5):
            yield Problem(
                f"gradient() gives other values for {name} at the second call",
                "the same values for the same batch",
                "other values: it adds to those of the call before, or is random (dropout?)",
                place_of_parameter(method, name),
            )


def gradient_numbers(subject: Subject) -> Found:
    """Compare gradient() with central differences of loss(), in float64."""
    yield from gradient_values(subject, *subject.labelled_batch)


def large_scores(subject: Subject) -> Found:
    """Give the last layer large weights: a network that is sure must not compute NaN."""
    x, t = subject.labelled_batch
    net = subject.tame
    last = [values for values in net.params.values() if values.ndim > 1][-1]
    kept = last.copy()
    last *= LARGE_SCORE / max(float(np.abs(x).max()), 1.0)
    try:
        y, loss = subject.predict(net, x), float(subject.loss(net, x, t))
    finally:
        last[...] = kept
    module, network = subject.network.module, subject.network
    large = f"scores of about {LARGE_SCORE:.0f}"
    if not np.isfinite(y).all():
        yield Problem(
            f"the softmax overflows for {large}: subtract the largest score of each row first",
            "finite outputs",
            f"{100 * float(np.mean(~np.isfinite(y))):.0f} % of the outputs are NaN or infinite",
            place_of_function(module, "softmax", network.method("predict"), line=r"\bexp\("),
        )
    elif not math.isfinite(loss):
        yield Problem(
            f"the loss is not finite for {large}: it takes log 0; add 1e-7 inside of the log",
            "a finite loss",
            f"loss {loss}",
            place_of_function(module, "entropy", network.method("loss")),
        )


@dataclass(frozen=True)
class Check:
    """A check : its name, what it looks at in words, and whether others need it to pass."""

    name: str
    function: Callable[[Subject], Found] = field(repr=False)
    words: str
    blocking: bool = False


CHECKS = (
    Check("interface", interface, "params and three methods", blocking=True),
    Check("predict", prediction, "shape and values of predict()", blocking=True),
    Check("softmax", one_example, "each example's outputs by themselves"),
    Check("labels", label_forms, "integer and one-hot labels", blocking=True),
    Check("loss", loss_values, "a mean over the batch, of the right class"),
    Check("parameters", parameters_used, "each is used where updates change it", blocking=True),
    Check("large scores", large_scores, "no overflow, no log 0"),
    Check("first weights", first_weights, "first loss, and units that differ"),
    Check("gradient", gradient_form, "names and shapes", blocking=True),
    Check(
        "differences",
        gradient_numbers,
        "gradient() against central differences of loss()",
        blocking=True,
    ),
    Check("learning", learns, "20 examples learned by heart, every parameter changes"),
)


@dataclass(frozen=True)
class Result:
    """The result of one check.

    status : "passed", "failed", or "skipped" where a check before it must pass first.
    """

    check: Check
    status: str
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def examine(network: NetworkClass) -> Iterator[Result]:
    """Make all checks of a class and yield their results."""
    subject, blocked = Subject(network), False
    for check in CHECKS:
        if blocked:
            yield Result(check, "skipped")
            continue
        found: list[Problem | Note] = []
        try:
            found += check.function(subject)
        except CallFailed as error:
            found.append(Problem(str(error), "no error", "an error", error.place))
            blocked = True
        problems = tuple(item for item in found if isinstance(item, Problem))
        blocked = blocked or (check.blocking and bool(problems))
        notes = tuple(str(item) for item in found if isinstance(item, Note))
        yield Result(check, "failed" if problems else "passed", problems, notes)
