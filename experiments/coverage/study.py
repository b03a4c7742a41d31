"""Coverage and width of four kinds of intervals, on runs like ours.

python experiments/coverage/study.py        (half a minute)

A study is n seeds, drawn from a population whose mean is known: each cell of why-70-percent with
its 40 recorded seeds, its shares, a mixture in which some runs are stuck, or accuracies that are
normal on the logit scale. Writes coverage.csv, looks.csv and README.md beside this file. Nothing is
trained; the same numbers come out each time.
"""

import argparse
import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from sgdprobe.study import effects
from sgdprobe.study.intervals import LEVEL, Array, at_once, half_width, reach, stopping_level
from sgdprobe.study.looks import MOST_SEEDS, planned

HERE = Path(__file__).parent
CELLS = HERE.parent / "why-70-percent" / "cells.csv"
SEEDS = (3, 5, 10, 20, 30)
DRAWS = 999  # of a bootstrap, and of sign flips where there are more than 2^10
GRID = 401  # means that betting tries, from 0 to 1
POINTS = (0.01, 0.005, 0.003)  # asked for by --within

Interval = tuple[Array, Array]
Rows = list[dict[str, Any]]


def student(studies: Array) -> Interval:
    """Student's t. studies : (studies, n), here and below; returns low and high ends."""
    mean, half = studies.mean(axis=1), studies.std(axis=1, ddof=1) * reach(studies.shape[1])
    return mean - half, mean + half


def bca(studies: Array) -> Interval:
    """The bootstrap, corrected for bias and acceleration (Efron, JASA 82, 1987)."""
    rng, n = np.random.default_rng(1), studies.shape[1]
    mean = studies.mean(axis=1)
    away = studies - mean[:, np.newaxis]
    squares = (away**2).sum(axis=1)
    acceleration = (away**3).sum(axis=1) / (6 * np.maximum(squares**1.5, 1e-300))
    resampled = np.sort(studies[:, rng.integers(0, n, (DRAWS, n))].mean(axis=2), axis=1)
    below = (resampled < mean[:, np.newaxis]).mean(axis=1)
    below += (resampled == mean[:, np.newaxis]).mean(axis=1) / 2
    bias = ndtri(np.clip(below, 1 / DRAWS, 1 - 1 / DRAWS))
    ends = []
    for z in ndtri([(1 - LEVEL) / 2, (1 + LEVEL) / 2]):
        place = ndtr(bias + (bias + z) / (1 - acceleration * (bias + z)))
        index = np.clip((place * DRAWS).astype(int), 0, DRAWS - 1)
        ends.append(resampled[np.arange(len(studies)), index])
    return ends[0], ends[1]


def sign_flips(studies: Array) -> Interval:
    """Means that no flip of signs rejects: means of subsets of the seeds (Hartigan, JASA 64, 1969).

    Exact for symmetric populations. Below 6 seeds there are too few flips for 95 %.
    """
    n = studies.shape[1]
    if n <= 10:
        members = np.array(list(product((0, 1), repeat=n))[1:], float)
    else:
        members = np.random.default_rng(2).integers(0, 2, (DRAWS, n)).astype(float)
        members = members[members.sum(axis=1) > 0]
    means = np.sort(studies @ members.T / members.sum(axis=1), axis=1)
    tail = int((1 - LEVEL) / 2 * (len(members) + 1))
    if tail == 0:
        endless = np.full(len(studies), np.inf)
        return -endless, endless
    return means[:, tail - 1], means[:, -tail]


def betting(studies: Array) -> Interval:
    """Hedged capital for a mean in 0 … 1 (Waudby-Smith and Ramdas, JRSS B 86, 2024, section 4)."""
    n, alpha = studies.shape[1], 1 - LEVEL
    means = np.linspace(0, 1, GRID)
    up = np.ones((len(studies), GRID))
    down = up.copy()
    total, squares = np.full(len(studies), 0.5), np.full(len(studies), 0.25)
    for i in range(n):
        variance = squares / (i + 1)
        bet = np.sqrt(2 * np.log(2 / alpha) / (n * variance))[:, np.newaxis]
        away = studies[:, [i]] - means
        with np.errstate(divide="ignore"):
            up *= 1 + np.minimum(bet, 0.5 / means) * away
            down *= 1 - np.minimum(bet, 0.5 / (1 - means)) * away
        total += studies[:, i]
        squares += (studies[:, i] - total / (i + 2)) ** 2
    kept = np.maximum(up, down) / 2 < 1 / alpha
    return means[kept.argmax(axis=1)], means[GRID - 1 - kept[:, ::-1].argmax(axis=1)]


METHODS: Mapping[str, Callable[[Array], Interval]] = {
    "t": student,
    "BCa": bca,
    "sign flips": sign_flips,
    "betting": betting,
}


def real_runs() -> Array:
    """Return the accuracies of why-70-percent : (2, 2, 2, 2, 2, seeds)."""
    with CELLS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows.sort(key=lambda row: (row["cell"], int(row["seed"])))
    k = len(rows[0]["cell"])
    return np.array([float(row["test_accuracy"]) for row in rows]).reshape((2,) * k + (-1,))


def populations(y: Array) -> Iterator[tuple[str, str, Array]]:
    """Yield kind, name and values of each population; a study draws from the values."""
    k = y.ndim - 1
    for cell in np.ndindex(y.shape[:-1]):
        yield "real cells", "".join(map(str, cell)), y[cell]
    for number, values in enumerate(effects.shapley(y)):
        yield "real shares", f"share {number + 1}", values
    yield "real shares", "gap", y[(1,) * k] - y[(0,) * k]
    for percent in (5, 10, 20):
        stuck = np.repeat([0.1, 0.9], [percent, 100 - percent])
        yield "two points", f"{percent} % at 0.1, the rest at 0.9", stuck
    quantiles = ndtri((np.arange(1000) + 0.5) / 1000)
    for deviation in (0.2, 1.0):
        values = 1 / (1 + np.exp(-(2 + deviation * quantiles)))
        yield "logit-normal", f"logit 2 ± {deviation}", values


def coverage(y: Array, studies: int) -> Rows:
    """Return for each population, n and method how often the interval holds, and its width."""
    rows = []
    for (kind, name, values), n in product(list(populations(y)), SEEDS):
        picks = np.random.default_rng(n).integers(0, len(values), (studies, n))
        drawn, truth = values[picks], values.mean()
        for method, interval in METHODS.items():
            # Differences of accuracies are in -1 … 1; betting is for 0 … 1.
            if kind == "real shares" and method == "betting":
                low, high = (2 * end - 1 for end in interval((drawn + 1) / 2))
            else:
                low, high = interval(drawn)
            holds = (low - 1e-9 <= truth) & (truth <= high + 1e-9)
            rows.append(
                {
                    "kind": kind, "population": name, "n": n, "method": method,
                    "holds": holds.mean(), "below": (high < truth - 1e-9).mean(),
                    "width": np.mean(high - low), "constant": int(np.ptp(values) < 1e-9),
                }
            )  # fmt: skip
    return rows


def together(y: Array, studies: int) -> dict[int, tuple[float, float]]:
    """Return by n how often all shares hold: intervals each for itself, and Bonferroni's."""
    shares = effects.shapley(y)
    found = {}
    for n in SEEDS:
        picks = np.random.default_rng(n).integers(0, shares.shape[1], (studies, n))
        away = np.abs(shares[:, picks].mean(axis=2) - shares.mean(axis=1, keepdims=True))
        found[n] = tuple(
            float((away <= half_width(shares[:, picks], level)).all(axis=0).mean())
            for level in (LEVEL, at_once(len(shares)))
        )
    return found  # type: ignore[return-value]


def stopped(
    studies: Array, truth: Array, points: float, at: Sequence[int], level: float
) -> tuple[Array, Array]:
    """Add seeds until all intervals reach no further than `points`, or to the last look.

    studies : (shares, studies, seeds). truth : (shares, 1). Returns the seeds used : (studies,),
    and whose interval holds : (shares, studies).
    """
    shares, number, _ = studies.shape
    used, holds = np.full(number, at[-1]), np.zeros((shares, number), bool)
    going = np.ones(number, bool)
    for n in at:
        half = half_width(studies[:, :, :n], level)
        close = (half <= points).all(axis=0) | (n == at[-1])
        now = going & close
        used[now] = n
        away = np.abs(studies[:, :, :n].mean(axis=2) - truth)
        holds[:, now] = (away <= half)[:, now]
        going &= ~close
    return used, holds


def looks(y: Array, studies: int) -> Rows:
    """Return what adding seeds does, for the real shares and for normal ones like them.

    fixed : the seeds with which 90 of 100 studies of a fixed number come as close. holds : the
    share whose interval holds least often. naive : the same if one stops at any number of seeds
    from 5 on, with intervals of 95 %.
    """
    real = effects.shapley(y)
    rng = np.random.default_rng(3)
    normal = rng.multivariate_normal(real.mean(axis=1), np.cov(real), 4000).T
    rows = []
    for (kind, shares), points in product((("real", real), ("normal", normal)), POINTS):
        picks = np.random.default_rng(4).integers(0, shares.shape[1], (studies, MOST_SEEDS))
        drawn, truth = shares[:, picks], shares.mean(axis=1, keepdims=True)
        at = planned(10)
        used, holds = stopped(drawn, truth, points, at, stopping_level(at))
        _, naive = stopped(drawn, truth, points, range(5, MOST_SEEDS + 1), LEVEL)
        close = {
            n: float(np.mean((half_width(drawn[:, :, :n]) <= points).all(axis=0)))
            for n in range(3, MOST_SEEDS + 1)
        }
        enough = [n for n, share in close.items() if share >= 0.9]
        rows.append(
            {
                "shares": kind, "within": points, "mean_seeds": used.mean(),
                "in_90_of_100": int(np.quantile(used, 0.9)), "fixed": enough[0] if enough else "",
                "holds": holds.mean(axis=1).min(), "naive": naive.mean(axis=1).min(),
            }
        )  # fmt: skip
    return rows


def selected(rows: Rows, kind: str, method: str, n: int) -> Rows:
    """Return the counts of a kind of population, without those whose runs are all equal."""
    wanted = (kind, method, n, 0)
    return [r for r in rows if (r["kind"], r["method"], r["n"], r["constant"]) == wanted]


def table(rows: Rows, kind: str) -> str:
    """Return the table of a kind of population: how often intervals hold, and their width."""
    lines = ["| n | " + " | ".join(METHODS) + " |", "|---|" + "---|" * len(METHODS)]
    for n in SEEDS:
        texts = []
        for method in METHODS:
            found = selected(rows, kind, method, n)
            holds = [100 * row["holds"] for row in found]
            width = 100 * float(np.median([row["width"] for row in found]))
            size = "no end" if np.isinf(width) else f"{width:.2f}"
            texts.append(f"{np.median(holds):.1f} / {min(holds):.1f}; {size}")
        lines.append(f"| {n} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def page(rows: Rows, both: Mapping[int, tuple[float, float]], looked: Rows, y: Array) -> str:
    """Return the page."""
    kinds = {
        "real cells": "The cells of [why-70-percent](../why-70-percent/README.md)",
        "real shares": "Its five Shapley shares and the gap",
        "two points": "5, 10 or 20 % of the runs stuck at 10 %, the others at 90 %",
        "logit-normal": "Normal on the logit scale: 2 ± 0.2 and 2 ± 1",
    }
    tables = "\n\n".join(f"### {words}\n\n{table(rows, kind)}" for kind, words in kinds.items())
    at_once_lines = "\n".join(
        f"| {n} | {100 * each:.1f} % | {100 * wider:.1f} % |" for n, (each, wider) in both.items()
    )
    look_lines = "\n".join(
        f"| {row['shares']} | ±{100 * row['within']:.1f} | {row['mean_seeds']:.1f} | "
        f"{row['in_90_of_100']} | {row['fixed'] or f'over {MOST_SEEDS}'} | "
        f"{100 * row['holds']:.1f} % | {100 * row['naive']:.1f} % |"
        for row in looked
    )
    numbers = {
        f"{method}_{what}": value
        for method in ("t", "betting")
        for what, value in of_cells(rows, method, 10).items()
    }
    half = next(row for row in looked if (row["shares"], row["within"]) == ("real", 0.005))
    numbers |= {"half_mean": f"{half['mean_seeds']:.0f}", "half_fixed": str(half["fixed"])}
    text = (HERE / "page.md.in").read_text()
    return text.format(
        seeds=y.shape[-1], cells=2 ** (y.ndim - 1), tables=tables, at_once=at_once_lines,
        looks=look_lines, level=f"{100 * stopping_level(planned(10)):.1f}", **numbers,
    )  # fmt: skip


def of_cells(rows: Rows, method: str, n: int) -> dict[str, str]:
    """Return median, worst and width of a method for the real cells."""
    found = selected(rows, "real cells", method, n)
    holds = [100 * row["holds"] for row in found]
    width = 100 * float(np.median([row["width"] for row in found]))
    return {
        "median": f"{np.median(holds):.0f}", "worst": f"{min(holds):.0f}", "width": f"{width:.1f}"
    }  # fmt: skip


def rounded(rows: Rows) -> Rows:
    """Return the rows with four digits of each number, as the files have them."""
    return [
        {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in row.items()}
        for row in rows
    ]


def write(path: Path, rows: Rows) -> None:
    """Write rows as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(words: Sequence[str] | None = None) -> None:
    """Draw the studies and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--studies", type=int, default=1000, help="of each kind; default: 1000")
    parser.add_argument("--out", type=Path, default=HERE, help="the folder; default: this one")
    given = parser.parse_args(words)
    y = real_runs()
    rows, looked = rounded(coverage(y, given.studies)), rounded(looks(y, given.studies))
    write(given.out / "coverage.csv", rows)
    write(given.out / "looks.csv", looked)
    (given.out / "README.md").write_text(page(rows, together(y, given.studies), looked, y))


if __name__ == "__main__":
    main()
