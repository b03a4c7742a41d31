"""How long does the whole sweep take, beside the plain pipeline that one would write instead?

python tests/benchmarks/sweep.py --turns 5 --out DIR
python tests/benchmarks/sweep.py --turns 1 --cells 4 --iterations 600
python tests/benchmarks/sweep.py --turns 5 --peer dask --out DIR

Whole processes, from the command to its end, in turn: `python src/train.py -m sweep` and
plain_pipeline.py, which needs hydra-joblib-launcher, or the same sweep on Dask's workers. Both get
a store and an experiment that are made beforehand, new ones for each turn, and the same number of
processes.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import mean
from typing import Any

import psutil
import whole_command
from machine import ROOT
from rich.table import Table
from timings import Spread, console, ratios, write_csv, write_json

DATA = ROOT / "src/sgdprobe/data/mnist"
LEARNING_RATES = (0.01, 0.1, 1)
SCALES = (1, 0.3, 0.1, 0.01)
LAYERS = ("[50,100]", "[50]", "[100]")
# Axes by the number of cells: learning rates, initialization scales, layer structures.
CELLS = {
    4: (LEARNING_RATES[1:2], SCALES, LAYERS[:1]),
    12: (LEARNING_RATES[1:2], SCALES, LAYERS),
    36: (LEARNING_RATES, SCALES, LAYERS),
}


@dataclass(frozen=True)
class Pipeline:
    """A command, and how it calls the settings."""

    script: Path
    arguments: tuple[str, ...]
    learning_rate: str
    scale: str
    hidden: str
    iterations: str
    n_jobs: str
    tracking_uri: str
    needs: str = "sgdprobe"

    def command(self, cells: int, iterations: int, jobs: int, uri: str) -> list[str]:
        axes = zip((self.learning_rate, self.scale, self.hidden), CELLS[cells], strict=True)
        return [
            *(sys.executable, str(self.script), *self.arguments),
            *(f"{key}={','.join(map(str, values))}" for key, values in axes),
            f"{self.iterations}={iterations}",
            f"{self.n_jobs}={jobs}",
            f"{self.tracking_uri}={uri}",
        ]


SGDPROBE = Pipeline(
    ROOT / "src/train.py",
    ("-m", "sweep"),
    learning_rate="training.learning_rate",
    scale="init.scale",
    hidden="network.hidden",
    iterations="training.iterations",
    n_jobs="sweep.n_jobs",
    tracking_uri="tracking.uri",
)
PEERS = {
    "dask": replace(SGDPROBE, arguments=("-m", "sweep", "sweep=dask"), needs="distributed"),
    "plain": Pipeline(
        Path(__file__).with_name("plain_pipeline.py"),
        (f"data={DATA}", "experiment=sweep"),
        learning_rate="learning_rate",
        scale="scale",
        hidden="hidden",
        iterations="iterations",
        n_jobs="hydra.launcher.n_jobs",
        tracking_uri="tracking_uri",
        needs="hydra_plugins.hydra_joblib_launcher",
    ),
}


def timed(pipeline: Pipeline, cells: int, iterations: int, jobs: int) -> dict[str, Any]:
    """Seconds of one whole sweep in an empty folder, and what its store then holds."""
    seconds, runs = whole_command.timed(
        "sweep", lambda uri: pipeline.command(cells, iterations, jobs, uri)
    )
    accuracies = [run.data.metrics["test_accuracy"] for run in runs]
    return {"seconds": seconds, "runs": len(runs), "mean_test_accuracy": mean(accuracies)}


def compare(peer: str, turns: int, cells: int, iterations: int, jobs: int) -> list[dict[str, Any]]:
    """A row for each turn of each pipeline."""
    return [
        {"turn": turn, "pipeline": name, **timed(pipeline, cells, iterations, jobs)}
        for turn in range(1, turns + 1)
        for name, pipeline in (("sgdprobe", SGDPROBE), (peer, PEERS[peer]))
    ]


def table(rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Medians, and the ratio within each turn."""
    format_value = Table(title=title)
    for heading in ("", "s (least–greatest)", "× sgdprobe", "runs", "mean test accuracy"):
        format_value.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    names = dict.fromkeys(row["pipeline"] for row in rows)
    by_name = {name: [row for row in rows if row["pipeline"] == name] for name in names}
    seconds = {name: [row["seconds"] for row in mine] for name, mine in by_name.items()}
    for name, mine in by_name.items():
        format_value.add_row(
            name,
            Spread.of(seconds[name]).text(1),
            ratios(seconds[name], seconds["sgdprobe"]).text(2),
            str(mine[-1]["runs"]),
            f"{100 * mean(row['mean_test_accuracy'] for row in mine):.2f} %",
        )
    return format_value


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peer", choices=PEERS, default="plain", help="what it is beside")
    parser.add_argument("--turns", type=int, default=5, help="sweeps of each")
    parser.add_argument("--cells", type=int, choices=CELLS, default=36, help="runs a sweep")
    parser.add_argument("--iterations", type=int, default=10_000, help="updates a run")
    parser.add_argument("--jobs", type=int, default=psutil.cpu_count(), help="processes")
    parser.add_argument("--out", type=Path, help="a folder for the rows")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    say = console().print
    if find_spec(PEERS[chosen.peer].needs) is None:
        say("not installed: pip install hydra-joblib-launcher distributed")
        return 1
    rows = compare(chosen.peer, chosen.turns, chosen.cells, chosen.iterations, chosen.jobs)
    title = f"{chosen.cells} runs of {chosen.iterations:,} updates in {chosen.jobs} processes"
    say(table(rows, title))
    if chosen.out:
        name = "sweep" if chosen.peer == "plain" else f"sweep_{chosen.peer}"
        write_csv(chosen.out / f"{name}.csv", rows)
        write_json(chosen.out / f"{name}.json", {"title": title})
    return 0


if __name__ == "__main__":
    sys.exit(main())
