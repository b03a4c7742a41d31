"""Did a repeat come out the same? If not, where first, and what can explain it.

Works on the plain dicts of provenance.json and numbers.json, and on nothing else.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# CLOSE is within these of the record, at every epoch: a share of the loss; images of 10,000.
LOSS_TOLERANCE = 0.01
ACCURACY_TOLERANCE = 0.005

# What can change a number, most likely first. The first five change what is computed, the others
# only how it is rounded.
CAUSES = {
    "settings": "setting",
    "data.digest": "data",
    "data.files": "data file",
    "source.files": "source",
    "streams": "random streams",
    "seen": "what training saw",
    "blas.threads": "BLAS threads",
    "blas.kernel": "BLAS kernel",
    "simd": "NumPy's SIMD level",
    "numpy": "NumPy",
    "blas.version": "BLAS version",
    "blas.name": "BLAS",
    "libc": "C library",
    "python": "Python",
    "processor": "processor",
    "os": "system",
    "packages": "package",
}
CHANGES_RESULT = {"setting", "data", "data file", "source", "random streams", "what training saw"}
# Neither has a part in drawing the first weights.
NOT_IN_INITIALIZATION = {"data", "data file", "what training saw", "BLAS threads", "BLAS kernel"}
# Other processors and libraries may round differently; another number of threads is a mistake.
IGNORED = {"system", "package"}
ROUNDING_ONLY = set(CAUSES.values()) - CHANGES_RESULT - IGNORED - {"BLAS threads"}

NOTHING = "nothing"


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same: `what` is where to find it."""

    what: str
    recorded: Any
    repeated: Any

    def __str__(self) -> str:
        return f"{self.what}: {_shown(self.recorded)} recorded, {_shown(self.repeated)} repeated"


@dataclass(frozen=True)
class Cause(Difference):
    """A difference between two runs' provenance; `kind` is one of CAUSES."""

    kind: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {super().__str__()}" if self.what else self.kind + super().__str__()


@dataclass(frozen=True)
class Verdict:
    """`word` is IDENTICAL, CLOSE or DIFFERENT; `compared` counts numbers and hashes."""

    word: str
    compared: int
    first: Difference | None = None
    largest: Difference | None = None
    causes: tuple[Cause, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the answer to "did it come out the same" is yes."""
        return self.word != "DIFFERENT"


def compare(
    recorded: Mapping[str, Any],
    repeated: Mapping[str, Any],
    recorded_from: Mapping[str, Any],
    repeated_from: Mapping[str, Any],
    ending: Difference,
    interrupted: bool = False,
) -> Verdict:
    """Compare two runs' numbers; explain a difference by their provenance.

    ending : how each ended. interrupted : the recorded run was stopped, so that it has no ending
    to compare with, and no epochs after it.
    """
    ours, theirs = dict(series(recorded)), dict(series(repeated))
    ends = {} if interrupted else {ending.what: (ending.recorded, ending.repeated)}
    names = [name for name in ours if not interrupted or ours[name] is not None]
    names += [name for name in theirs if name not in ours and not interrupted]
    pairs = {n: (ours.get(n, NOTHING), theirs.get(n, NOTHING)) for n in names} | ends
    unequal = {name: pair for name, pair in pairs.items() if not _same(*pair)}
    if not unequal:
        return Verdict("IDENTICAL", len(pairs))
    first = Difference(next(iter(unequal)), *next(iter(unequal.values())))
    causes = tuple(explain(recorded_from, repeated_from, at_first="initial" in first.what))
    sizes = {name: _size(name, *pair) for name, pair in unequal.items()}
    worst = max(sizes, key=lambda name: sizes[name])
    kinds = {cause.kind for cause in causes}
    excused = kinds & ROUNDING_ONLY and not kinds - ROUNDING_ONLY - IGNORED
    word = "CLOSE" if excused and sizes[worst] <= 1 else "DIFFERENT"
    largest = Difference(worst, *unequal[worst]) if 0 < sizes[worst] < math.inf else None
    return Verdict(word, len(pairs), first, largest, causes)


def series(numbers: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """All numbers and hashes, by where they are, in the order in which they came to be."""
    yield "initial weights", numbers.get("initial_weights")
    for epoch in numbers["epochs"]:
        for name, value in epoch.items():
            if name != "epoch" and value is not None:
                yield f"epoch {epoch['epoch']}, {name}", value
    yield "final weights", numbers.get("final_weights")


def explain(
    recorded: Mapping[str, Any], repeated: Mapping[str, Any], *, at_first: bool = False
) -> Iterator[Cause]:
    """What differs in provenance and can change a number, most likely first.

    at_first : the numbers differ before training, with which some causes have nothing to do.
    """
    ours, theirs = dict(_flat(recorded)), dict(_flat(repeated))
    paths = dict(CAUSES)
    if ours.get("data.digest") == theirs.get("data.digest"):
        del paths["data.files"]  # packed in another way
    found = []
    for path, kind in paths.items():
        names = [name for name in {**ours, **theirs} if f"{name}.".startswith(f"{path}.")]
        for name in names:
            pair = ours.get(name, NOTHING), theirs.get(name, NOTHING)
            if pair[0] != pair[1]:
                found.append(Cause(name[len(path) + 1 :], *pair, kind=kind))
    yield from sorted(found, key=lambda cause: at_first and cause.kind in NOT_IN_INITIALIZATION)


def _flat(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _same(recorded: Any, repeated: Any) -> bool:
    """Equal, to the last bit; undefined is the same as undefined."""
    return bool(recorded == repeated) or (recorded != recorded and repeated != repeated)


def _size(name: str, recorded: Any, repeated: Any) -> float:
    """A difference in tolerances: 0 where it says nothing, infinite where it can't be measured.

    A hash is either equal or not, and symptoms have no tolerance of their own.
    """
    metric = name.rpartition(", ")[2]
    if metric in ("weights", "losses") or name.endswith("weights") or "symptom/" in metric:
        return math.inf if NOTHING in (recorded, repeated) else 0.0
    if not all(isinstance(value, float) for value in (recorded, repeated)):
        return math.inf
    if metric.endswith("accuracy"):
        return float(abs(recorded - repeated) / ACCURACY_TOLERANCE)
    return float(abs(recorded - repeated) / (LOSS_TOLERANCE * abs(recorded) or math.ulp(0.0)))


def _shown(value: Any) -> str:
    """A value in full; a hash by its beginning."""
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    is_hash = isinstance(value, str) and len(value) == 64
    return f"{value[:12]}…" if is_hash else str(value)
