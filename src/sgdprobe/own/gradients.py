"""A user's gradient against central differences of their own loss, and the name of the fault."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdprobe.own.network import Subject
from sgdprobe.own.problem import Problem
from sgdprobe.own.reference import fault_of, references
from sgdprobe.own.source import place_of, place_of_parameter

Array = NDArray[Any]

PICKED = 12  # elements of each parameter with the largest gradients, and as many at random
# Of the step of central differences, and of the error relative to a parameter's largest gradient.
STEP, MAX_ERROR = 1e-5, 0.01
STEP_32, MAX_ERROR_32 = 1e-3, 0.05  # for a loss that is computed in float32
SAME_RATIO = 0.02  # relative spread of ratios that count as one


@dataclass(frozen=True)
class Compared:
    """Some elements of a parameter's gradient: at their indices, as given and by differences."""

    name: str
    places: Sequence[tuple[int, ...]]
    given: Array
    central: Array

    @property
    def errors(self) -> Array:
        """The error of each, relative to the largest gradient of the parameter."""
        size = max(float(np.abs(self.central).max()), float(np.abs(self.given).max()), 1e-8)
        return np.asarray(np.abs(self.given - self.central) / size)

    @property
    def ratio(self) -> float | None:
        """The factor by which all are too large; None if it is not the same for all."""
        clear = np.abs(self.central) > 0.05 * np.abs(self.central).max()
        ratios = self.given[clear] / self.central[clear]
        middle = float(np.median(ratios)) if len(ratios) else 0.0
        spread = float(np.abs(ratios - middle).max()) if len(ratios) else 0.0
        return middle if spread <= SAME_RATIO * abs(middle) else None

    @property
    def worst(self) -> str:
        """The element with the largest error, and both its values."""
        k = int(np.argmax(np.nan_to_num(self.errors, nan=np.inf)))
        index = ", ".join(map(str, self.places[k]))
        return (
            f"{self.name}[{index}]: gradient() gives {self.given[k]:.6g}, "
            f"central differences {self.central[k]:.6g}"
        )


def compared(
    subject: Subject, x: Array, t: Array, grads: Mapping[str, Array], step: float
) -> list[Compared]:
    """Return each parameter's gradient beside central differences, at some elements."""
    rng = np.random.default_rng(4)
    found = []
    for name, values in subject.tame.params.items():
        given = np.asarray(grads[name], np.float64)
        largest = np.argsort(-np.abs(given), axis=None, kind="stable")[:PICKED]
        picked = np.union1d(largest, rng.permutation(values.size)[:PICKED])
        places = [tuple(map(int, np.unravel_index(k, values.shape))) for k in picked]
        central = np.array([_central(subject, values, at, x, t, step) for at in places])
        found.append(Compared(name, places, np.array([given[at] for at in places]), central))
    return found


def _central(
    subject: Subject, values: Array, at: tuple[int, ...], x: Array, t: Array, step: float
) -> float:
    kept = values[at]
    values[at] = kept + step
    above = float(subject.loss(subject.tame, x, t))
    values[at] = kept - step
    below = float(subject.loss(subject.tame, x, t))
    values[at] = kept
    return (above - below) / (2 * step)


def gradient_values(subject: Subject, x: Array, t: Array) -> Iterator[Problem]:
    """Compare the gradient of every parameter; yield one problem for each fault."""
    net = subject.tame
    single = np.asarray(subject.predict(net, x)).dtype == np.float32
    step, limit = (STEP_32, MAX_ERROR_32) if single else (STEP, MAX_ERROR)
    grads = subject.gradient(net, x, t)
    found = compared(subject, x, t, grads, step)
    wrong = [one for one in found if not (one.errors <= limit).all()]
    if not wrong:
        return
    ratios = [one.ratio for one in found]
    given = next((ratio for ratio in ratios if ratio is not None), None)
    common = given is not None and all(
        r is not None and abs(r - given) <= SAME_RATIO * abs(given) for r in ratios
    )
    if common and given is not None:
        yield _of_all(subject, found, given, len(x))
        return
    one_hot = t if t.ndim > 1 else subject.one_hot(t)
    for reference in references(net.params, x, subject.predict(net, x)):
        if sentence := fault_of(reference, x, one_hot, grads):
            yield _problem(subject, sentence, wrong[0], wrong)
            return
    scaled = [one for one in wrong if one.ratio is not None or not one.given.any()]
    others = [one for one in wrong if one not in scaled]
    yield from (_of_one(subject, one, [one], len(x)) for one in reversed(scaled))
    if others:  # the one next to the loss: faults travel from there to the layers below
        yield _of_one(subject, others[-1], others, len(x))


def _of_all(subject: Subject, found: Sequence[Compared], ratio: float, n: int) -> Problem:
    """Return the problem of a gradient that is wrong by one factor everywhere."""
    patterns = (r"-\s*t\b", r"\b[yp]\w*\s*-\s*\w", r"-\s*[yp]\b")
    place = place_of(subject.network.method("gradient"), *patterns)
    return Problem(
        f"the whole gradient is {factor(ratio, n)}",
        "central differences of loss() give the same numbers as gradient()",
        found[-1].worst,
        place,
    )


def factor(ratio: float, n: int) -> str:
    """Return a factor in words, for a batch of n."""
    known = {
        -1.0: "of the wrong sign: it points uphill (t - y in place of y - t?)",
        float(n): f"{n} times too large, the size of the batch: divide by it",
        -float(n): f"of the wrong sign, and {n} times too large, the size of the batch",
        1
        / n: f"1/{n} of what it must be, and the batch has {n}: it is divided by it once too often",
        0.0: "0",
    }
    for value, words in known.items():
        if abs(ratio - value) <= SAME_RATIO * max(abs(value), 1e-6):
            return words
    return f"{ratio:.3g} times what it must be"


def _of_one(subject: Subject, one: Compared, wrong: Sequence[Compared], n: int) -> Problem:
    """Return the problem of one parameter's gradient, which others may share."""
    if not one.given.any():
        what = f"the gradient of {one.name} is 0: {one.name} does not learn"
    elif one.ratio is not None:
        what = f"the gradient of {one.name} is {factor(one.ratio, n)}"
    else:
        what = f"the gradient of {one.name} is not that of the loss"
        if 1 < len(wrong) < len(subject.shapes):
            what += ", and those above it are right: look at the activation between them"
    return _problem(subject, what, one, wrong)


def _problem(subject: Subject, what: str, one: Compared, wrong: Sequence[Compared]) -> Problem:
    names = [each.name for each in wrong]
    right = [name for name in subject.shapes if name not in names]
    rest = f" ({', '.join(right)} right)" if right and len(names) > 1 else ""
    affected = f": {', '.join(names)} wrong{rest}" if len(names) > 1 else ""
    return Problem(
        what + affected,
        "central differences of loss() give the same numbers as gradient()",
        one.worst,
        place_of_parameter(subject.network.method("gradient"), one.name),
    )
