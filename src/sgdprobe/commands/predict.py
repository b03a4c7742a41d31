"""Classify pictures with the network of a recorded run."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from sgdprobe import tracking
from sgdprobe.commands.answers import JSON_HELP, answer, answering
from sgdprobe.commands.cli import STORE_HELP, Parser
from sgdprobe.commands.console import reading_store
from sgdprobe.commands.pictures import ImageKind, Picture, read_picture
from sgdprobe.config.formatting import percent
from sgdprobe.config.settings import Settings
from sgdprobe.errors import UserError
from sgdprobe.nn import Network
from sgdprobe.nn.foreign import foreign_hash, is_foreign
from sgdprobe.nn.functions import Array
from sgdprobe.provenance.command import command_line
from sgdprobe.run.build import network_with

FILES = ("settings.yaml", "provenance.json", "weights.npz", "diagnostics.json")
DRAWN = 28  # columns of a drawing, at most
BAR = 20  # columns of a probability of 1
MAX_SHOWN = 10  # classes beside a drawing, the likeliest


def main(words: Sequence[str]) -> int:
    """Classify pictures and print what was seen and found. Returns the exit code.

    Raises UserError for a run without a network, and for a file that is no picture.
    """
    given = parser().parse_intermixed_args(words)
    with answering(given.json):
        return _predict(given)


def parser() -> Parser:
    """Return the parser of the options."""
    options = Parser(
        prog=command_line("predict"), description="Classify pictures with a recorded network."
    )
    add = options.add_argument
    add("run", help="a run: an id, its beginning, a name, or last")
    add("pictures", nargs="+", type=Path, metavar="PICTURE", help="a file: PNG, JPEG, GIF, …")
    add("--whole", action="store_true", help="scale the whole picture: do not look for a drawing")
    add("--json", action="store_true", help=JSON_HELP)
    add("--uri", help=STORE_HELP)
    return options


def _predict(given: argparse.Namespace) -> int:
    with reading_store():
        runs = tracking.connect(given.uri)
        run = tracking.find_run(runs, given.run)
        known = Classifier.of(runs.uri, run)
    pictures = [read_picture(file, known.kind, whole=given.whole) for file in given.pictures]
    found = known.probabilities(pictures)
    for picture, y in zip(pictures, found, strict=True):
        print(f"{picture.file}: {y.argmax()}, {percent(float(y.max()))}")
        print("\n".join(f"  {sentence}" for sentence in picture.assumed))
        print("\n".join(beside(picture, y)))
    answer(facts(run.run_id, pictures, found))
    return 0


@dataclass(frozen=True)
class Classifier:
    """A recorded network, and the kind of image that it knows."""

    network: Network
    kind: ImageKind

    @classmethod
    def of(cls, uri: str, run: "tracking.RecordedRun") -> "Classifier":
        """Read it from a run's record. Raises UserError where there is none."""
        files = tracking.recorded_files(uri, run, FILES)
        name = f"{run.run_id} ({run.name})"
        if run.own_loop:
            own = f"a loop of your own ({run.tags['own_loop']})"
            raise UserError(f"{name} was trained by {own}, not by sgdprobe")
        if run.own_loop:
            raise UserError(f"{name} is a loop of your own, whose network only your program knows")
        if "weights.npz" not in files:
            raise UserError(f"{name} has no weights to classify with: it is {run.state}")
        seen = files.get("provenance.json", {}).get("seen", {})
        settings = files.get("settings.yaml")
        if settings is None or not {"factor", "offset"} <= seen.keys():
            raise UserError(f"{name} does not record how pixels were scaled; rerun.py repeats it")
        _check_unchanged(name, settings, files["provenance.json"].get("foreign", {}))
        params = files["weights.npz"]
        images = files.get("diagnostics.json", {}).get("images") or _square(name, len(params["W1"]))
        network = network_with(settings, params, seen["factor"], seen["offset"])
        return cls(network, ImageKind(**images))

    def probabilities(self, pictures: Sequence[Picture]) -> Array:
        """Return the probability of each class : (pictures, classes)."""
        x = np.array([picture.pixels.ravel() for picture in pictures])
        return self.network.probabilities(x.astype(self.network.theta.dtype))


def _check_unchanged(name: str, settings: Settings, recorded: dict[str, str]) -> None:
    """Raise UserError if the file of a user's own activation is not the one of the run."""
    activation = settings.network.activation
    if is_foreign(activation) and recorded.get(activation) != foreign_hash(activation):
        raise UserError(f"{name}: the file of {activation} has changed since this run")


def _square(name: str, pixels: int) -> dict[str, Any]:
    """Return the size of the images of a run that did not record it."""
    side = round(pixels**0.5)
    if side * side != pixels:
        raise UserError(f"{name} does not record the size of its images of {pixels} pixels")
    return {"height": side, "width": side}


def facts(run_id: str, pictures: Sequence[Picture], found: Array) -> dict[str, Any]:
    """Return the answer for programs; docs/reference/commands.md describes the keys."""
    return {
        "run_id": run_id,
        "pictures": [
            {
                "file": str(picture.file),
                "class": int(y.argmax()),
                "probability": float(y.max()),
                "probabilities": [float(p) for p in y],
                "assumed": list(picture.assumed),
                "pixels": picture.pixels.tolist(),
            }
            for picture, y in zip(pictures, found, strict=True)
        ],
    }


def beside(picture: Picture, y: Array) -> list[str]:
    """Return the drawing with the probabilities to its right; below it where there is no room."""
    encoding = sys.stdout.encoding or "ascii"
    drawing = [f"  {line}" for line in picture.drawing(DRAWN, encoding)]
    likeliest = sorted(np.argsort(-y, kind="stable")[:MAX_SHOWN].tolist())
    bar = "█" if "█" in "".join(drawing) else "#"
    rows = [f"{k:>4} {percent(float(y[k])):>9} {bar * round(BAR * float(y[k]))}" for k in likeliest]
    width = max(map(len, drawing))
    if shutil.get_terminal_size().columns < width + 4 + BAR + 15:
        return [*drawing, *rows]
    start = max(0, (len(drawing) - len(rows)) // 2)
    return [
        f"{left:<{width}}{right}".rstrip()
        for left, right in zip_longest(drawing, [""] * start + rows, fillvalue="")
    ]
