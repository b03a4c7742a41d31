"""A record held against itself: the store's metrics, tags and parameters, and the run's files."""

import hashlib
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sgdprobe.config.formatting import format_value
from sgdprobe.config.settings import Settings
from sgdprobe.errors import one_line
from sgdprobe.nn.functions import Array
from sgdprobe.provenance.hashes import losses_hash, weights_hash
from sgdprobe.provenance.redact import redact
from sgdprobe.provenance.source import listing_hash
from sgdprobe.tracking.folders import local_folder
from sgdprobe.tracking.runs import RecordedRun

__all__ = ["checked"]

SHA = re.compile("[0-9a-f]{64}")
COMMIT = re.compile("[0-9a-f]{40,64}")
PATH = re.compile("[^\0]+")

# The shapes of the two JSON files, as far as they are read: types, or patterns of texts. Each has
# more entries than these.
Shape = Any
PROVENANCE: Shape = {
    "settings": dict,
    "data": {"folder": (PATH, None), "files": dict, "digest": SHA},
    "source": {"hash": SHA, "files": dict},
    "git": {"commit": (COMMIT, None)},
}
NUMBERS: Shape = {
    "initial_weights": (SHA, None),
    "epochs": [{"epoch": int, "updates": int, "losses": SHA, "weights": (SHA, None)}],
    "final_weights": (SHA, None),
}
NO_METRICS = ("epoch", "updates", "losses", "weights")


def fits(value: Any, shape: Shape) -> bool:
    """Return whether a value from a JSON file has this shape; a tuple lists several."""
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(
            key in value and fits(value[key], inside) for key, inside in shape.items()
        )
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    if isinstance(shape, re.Pattern):
        return isinstance(value, str) and shape.fullmatch(value) is not None
    return value is None if shape is None else type(value) is shape


def provenance_of(content: bytes) -> dict[str, Any]:
    """Return the content of a provenance.json. Raises ValueError, or another exception."""
    provenance = json.loads(content)
    if not fits(provenance, PROVENANCE):
        raise ValueError("not what a run records")
    return dict(provenance)


def numbers_of(content: bytes) -> dict[str, Any]:
    """Return the content of a numbers.json. Raises ValueError, or another exception."""
    numbers = json.loads(content)
    if not fits(numbers, NUMBERS):
        raise ValueError("not what a run records")
    epochs = numbers["epochs"]
    ends = [0, *(epoch["updates"] for epoch in epochs)]
    metrics = (value for epoch in epochs for name, value in epoch.items() if name not in NO_METRICS)
    if [epoch["epoch"] for epoch in epochs] != [*range(1, len(ends))] or ends != sorted({*ends}):
        raise ValueError("epochs or updates are not in order")
    if not all(fits(value, (float, None)) for value in metrics):
        raise ValueError("a metric is not a number")
    return dict(numbers)


def checked(uri: str, runs: Sequence[RecordedRun]) -> list[RecordedRun]:
    """Return the runs with what their metrics contradict in numbers.json.

    It costs a fifth of a millisecond for each run. Runs whose files are on a server, or gone, are
    not checked.
    """
    return [
        replace(run, contradictions=_against_file(uri, run)) if run.has_result else run
        for run in runs
    ]


def _against_file(uri: str, run: RecordedRun) -> tuple[str, ...]:
    folder = local_folder(uri, run.artifact_uri)
    try:
        content = (folder / "numbers.json").read_bytes() if folder else b""
        return tuple(metric_contradictions(run, json.loads(content))) if content else ()
    except OSError:
        return ()
    except Exception as error:  # to check its shape first would take twice as long
        return (f"numbers.json is damaged: {one_line(error)}",)


def metric_contradictions(run: RecordedRun, numbers: Mapping[str, Any]) -> Iterator[str]:
    """Yield the metrics that are not those of numbers.json, last values and those that were read.

    A run that was interrupted may have recorded one more epoch in the store.
    """
    points: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for epoch in numbers["epochs"]:
        for name, value in epoch.items():
            # The store holds no value that is NaN or infinite.
            if name not in NO_METRICS and value is not None and math.isfinite(value):
                points[name].append((epoch["epoch"], value))
    for name in sorted(run.series.keys() | (points.keys() | run.metrics.keys())):
        ours, stored = points[name], list(run.series.get(name, ()))
        if name not in run.series:
            ours, stored = ours[-1:], [run.metrics[name]] if name in run.metrics else []
        if not run.has_result:
            ours, stored = ours[: len(stored)], stored[: len(ours)]
        differing = [pair for pair in zip(ours, stored, strict=False) if pair[0][1] != pair[1]]
        if differing:
            (epoch, value), store_value = differing[0]
            yield f"{name} of epoch {epoch}: the store has {store_value}, numbers.json {value}"
        elif len(ours) != len(stored):
            yield f"{name}: the store has {len(stored)} values, numbers.json {len(ours)}"
        elif stored and run.has_result and run.metrics.get(name) != stored[-1]:
            yield f"{name}: the store's last value {run.metrics.get(name)} is not {stored[-1]}"


def array_contradictions(
    run: RecordedRun, numbers: Mapping[str, Any], weights: Mapping[str, Array], losses: Array
) -> Iterator[str]:
    """Yield which arrays are not those whose hashes are in numbers.json; none of a run without."""
    final = numbers["final_weights"]
    if run.status == "FINISHED" and final is None:
        yield "the run is FINISHED, and numbers.json has no final weights"
    if final is not None and weights_hash(weights) != final:
        yield "weights.npz does not hold the weights of numbers.json"
    first = run.tags.get("diagnostic.first_loss")
    if len(losses) and first not in (None, repr(float(losses[0]))):
        yield f"the tag diagnostic.first_loss is {first}, in losses.npz {float(losses[0])!r}"
    ends = [0, *(epoch["updates"] for epoch in numbers["epochs"])]
    for epoch, begin in zip(numbers["epochs"], ends, strict=False):
        if losses_hash(losses[begin : epoch["updates"]]) != epoch["losses"]:
            yield f"losses.npz does not hold the losses of epoch {epoch['epoch']} in numbers.json"
            break
    if len(losses) != ends[-1]:
        yield f"losses.npz holds {len(losses)} losses, numbers.json {ends[-1]} updates"


def identity_contradictions(
    run: RecordedRun, settings: Settings, provenance: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what settings.yaml, provenance.json, parameters and tags say in different ways."""
    hashed, flat = provenance["settings"], settings.flat()
    for key, value in hashed.items():
        own = list(flat[key]) if isinstance(flat.get(key), tuple) else flat.get(key)
        if own != value:
            yield f"{key}: settings.yaml has {own}, provenance.json {value}"
    for key, text in run.params.items():
        own = redact(format_value(flat[key])) if key in flat else None
        if own != text:
            yield f"{key}: settings.yaml has {own}, the store {text}"
    data, source = provenance["data"]["digest"], provenance["source"]
    tags = {
        "data_hash": data,
        "source_hash": source["hash"],
        "program": _key(hashed),
        "key": _key(hashed, data, source["hash"], *provenance.get("foreign", {}).values()),
    }
    for name, value in tags.items():
        if run.tags.get(name) != value:
            yield f"the tag {name} is {run.tags.get(name)}, by provenance.json {value}"
    if listing_hash(source["files"]) != source["hash"]:
        yield "the hashes of the source files in provenance.json do not give its source hash"


def _key(hashed: Mapping[str, Any], *hashes: str) -> str:
    """Return the key of recorded settings: `Settings.key` of the version that recorded them."""
    text = json.dumps([hashed, *hashes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
