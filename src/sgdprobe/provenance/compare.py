"""Comparison of a rerun with its record: the first difference and its possible causes.

It works on the plain dicts of provenance.json and numbers.json only.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# CLOSE: at every epoch within these of the record, a share of the loss and an accuracy.
LOSS_TOLERANCE = 0.01
ACCURACY_TOLERANCE = 0.005

# Entries of provenance.json that can change a number, most likely first.
CAUSES = {
    "settings": "setting",
    "data.digest": "data",
    "data.files": "data file",
    "source.files": "source",
    "foreign": "file of",
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
    "git.commit": "commit",
    "git.dirty": "uncommitted changes",
    "git.diff": "diff of the uncommitted changes",
    "os": "system",
    "packages": "package",
}
CHANGES_RESULT = {
    "setting",
    "data",
    "data file",
    "source",
    "file of",
    "random streams",
    "what training saw",
}
# They have no part in drawing the initial weights.
NOT_IN_INITIALIZATION = {"data", "data file", "what training saw", "BLAS threads", "BLAS kernel"}
# They do not change numbers by themselves: all code that computes numbers is in the source files.
# Another number of threads only rounds, but is a fault of the program.
IGNORED = {
    "commit",
    "uncommitted changes",
    "diff of the uncommitted changes",
    "system",
    "package",
}
ROUNDING_ONLY = set(CAUSES.values()) - CHANGES_RESULT - IGNORED - {"BLAS threads"}

NOTHING = "nothing"
UNKNOWN = {None, "unknown"}  # to git, such as in a copy without a repository


@dataclass(frozen=True)
class Difference:
    """One value that is not the same; `what` names it, `kind` is its kind of cause."""

    what: str
    recorded: Any
    rerun: Any
    kind: str = ""

    def __str__(self) -> str:
        name = f"{self.kind} {self.what}".strip()
        return f"{name}: recorded {_format(self.recorded)}, rerun {_format(self.rerun)}"


@dataclass(frozen=True)
class Verdict:
    """`word` is IDENTICAL, CLOSE or DIFFERENT; `compared` counts numbers and hashes.

    epochs : numbers of recorded and of rerun epochs. contradictions : what the record itself says
    in two ways; the rerun, which is compared with its numbers.json, can't confirm such a record.
    """

    word: str
    compared: int = 0
    first: Difference | None = None
    largest: Difference | None = None
    causes: tuple[Difference, ...] = ()
    epochs: tuple[int, int] = (0, 0)
    contradictions: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Return whether the rerun confirms the record."""
        return self.word in ("IDENTICAL", "CLOSE")


NO_VERDICT = Verdict("no verdict")  # of a rerun that was not recorded completely


def compare(
    recorded: Mapping[str, Any],
    rerun: Mapping[str, Any],
    recorded_provenance: Mapping[str, Any],
    rerun_provenance: Mapping[str, Any],
    ending: Difference,
    interrupted: bool = False,
    contradictions: tuple[str, ...] = (),
) -> Verdict:
    """Compare the numbers of two runs; find the causes of a difference in their provenance.

    ending : the ending of each run. interrupted : the recorded run was stopped, so its ending and
    what would have followed are not compared. contradictions : those of the record with itself.
    """
    epochs = len(recorded["epochs"]), len(rerun["epochs"])
    pairs = _pairs(dict(series(recorded)), dict(series(rerun)))
    if interrupted:
        pairs = {name: pair for name, pair in pairs.items() if pair[0] not in (None, NOTHING)}
    else:
        pairs[ending.what] = ending.recorded, ending.rerun
    unequal = {name: pair for name, pair in pairs.items() if not _same(*pair)}
    if not unequal:
        word = "DIFFERENT" if contradictions else "IDENTICAL"
        return Verdict(word, len(pairs), epochs=epochs, contradictions=contradictions)
    first = Difference(next(iter(unequal)), *next(iter(unequal.values())))
    before_training = "initial" in first.what
    causes = find_causes(recorded_provenance, rerun_provenance, before_training=before_training)
    sizes = {name: _size(name, *pair) for name, pair in unequal.items()}
    worst = max(sizes, key=lambda name: sizes[name])
    kinds = {cause.kind for cause in causes}
    rounding = kinds & ROUNDING_ONLY and not kinds - ROUNDING_ONLY - IGNORED
    close = rounding and sizes[worst] <= 1 and not contradictions
    word = "CLOSE" if close else "DIFFERENT"
    largest = Difference(worst, *unequal[worst]) if 0 < sizes[worst] < math.inf else None
    return Verdict(word, len(pairs), first, largest, causes, epochs, contradictions)


def _pairs(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Pair the values of the same name; NOTHING for a value that is missing."""
    return {n: (ours.get(n, NOTHING), theirs.get(n, NOTHING)) for n in {**ours, **theirs}}


def series(numbers: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield all numbers and hashes with their names, in the order of their computation."""
    yield "initial weights", numbers.get("initial_weights")
    for epoch in numbers["epochs"]:
        for name, value in epoch.items():
            if name != "epoch" and value is not None:
                yield f"epoch {epoch['epoch']}, {name}", value
    yield "final weights", numbers.get("final_weights")


def find_causes(
    recorded: Mapping[str, Any], rerun: Mapping[str, Any], *, before_training: bool = False
) -> tuple[Difference, ...]:
    """Return the differences in provenance that can change a number, most likely first.

    before_training : the initial weights differ, in which some causes have no part.
    """
    pairs = _pairs(dict(_flat(recorded)), dict(_flat(rerun)))
    kinds = dict(CAUSES)
    if "data.digest" in pairs and _same(*pairs["data.digest"]):
        del kinds["data.files"]  # the same images, packed in another way
    found = [
        Difference(name[len(path) + 1 :], *pair, kind=kind)
        for path, kind in kinds.items()
        for name, pair in pairs.items()
        if f"{name}.".startswith(f"{path}.") and pair[0] != pair[1]
        if not (path.startswith("git.") and UNKNOWN.intersection(pair))
    ]
    unlikely = NOT_IN_INITIALIZATION if before_training else set()
    return tuple(sorted(found, key=lambda cause: cause.kind in unlikely))


def _flat(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _same(recorded: Any, rerun: Any) -> bool:
    """Return whether two values are equal to the last bit; NaN equals NaN."""
    return bool(recorded == rerun) or (recorded != recorded and rerun != rerun)


def _size(name: str, recorded: Any, rerun: Any) -> float:
    """Return a difference in tolerances; infinite where it cannot be measured.

    0 for hashes and symptoms, which have no tolerance.
    """
    metric = name.rpartition(", ")[2]
    if metric in ("weights", "losses") or name.endswith("weights") or "symptom/" in metric:
        return math.inf if NOTHING in (recorded, rerun) else 0.0
    if not all(isinstance(value, float) for value in (recorded, rerun)):
        return math.inf
    if metric.endswith("accuracy"):
        return float(abs(recorded - rerun) / ACCURACY_TOLERANCE)
    return float(abs(recorded - rerun) / (LOSS_TOLERANCE * abs(recorded) or math.ulp(0.0)))


def _format(value: Any) -> str:
    """Return a value in full, a hash by its first 12 digits."""
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    is_hash = isinstance(value, str) and len(value) == 64
    return f"{value[:12]}…" if is_hash else str(value)
