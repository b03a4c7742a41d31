"""The answer once more, each cell at its best value of the tuned setting, beside the first."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from sgdprobe.config.formatting import format_value
from sgdprobe.reports.document import Block, BulletList, FigureBlock, Heading, Table, Text
from sgdprobe.reports.explanation.facts import Facts
from sgdprobe.reports.explanation.words import changes_of, linked_tuned, listing, percents, points
from sgdprobe.run.build import load_data
from sgdprobe.study import effects
from sgdprobe.study.effects import SUFFICIENT_WITHIN, Array, Estimate, estimate
from sgdprobe.study.factors import Cell
from sgdprobe.study.tuning import Tuned

Effects = Callable[[Array], Array]


def best_shares(facts: Facts) -> dict[str, Estimate]:
    """Each factor's Shapley share with all cells at their best; empty without tuning."""
    if facts.tuned is None:
        return {}
    return _by_name(_names(facts.tuned), effects.shapley(facts.tuned.y))


def at_best_value(facts: Facts) -> list[Block]:
    """What was tuned and how; shares, effects and figures beside those of the recipes' values."""
    if facts.tuned is None:
        return []
    tuned = facts.tuned
    return [
        Heading(f"Each cell at its best {tuned.key}"),
        *_opening(facts, tuned),
        FigureBlock(
            "waterfall_tuned.svg",
            f"From {facts.ends[0]} to {facts.ends[1]}, each cell at its best {tuned.key}: "
            + ", ".join(f"{name} {points(share)}" for name, share in best_shares(facts).items())
            + " points.",
            f"Shapley shares, each cell at its best `{tuned.key}`.",
        ),
        *_shares(facts, tuned),
        *_interactions(facts, tuned),
        FigureBlock(
            "ladders_tuned.svg",
            f"The ladders once more, each cell at its best {tuned.key}: left the accuracy "
            "of all cells over the number of changes made, right each factor's least and most "
            "credit.",
            f"All ladders, each cell at its best `{tuned.key}`.",
        ),
        *_values(tuned),
    ]


def _opening(facts: Facts, tuned: Tuned) -> list[Block]:
    design = tuned.factorial
    images = len(load_data(design.base).train_images)
    first, second = (
        f"`{name}` reaches {_reaches(tuned, cell)} at `{format_value(_value(tuned, cell))}`"
        for name, cell in zip(facts.ends, (design.baseline, design.target), strict=True)
    )
    values = listing([f"`{format_value(value)}`" for value in tuned.values])
    return [
        Text(
            f"Every cell was also trained with `{tuned.key}` at {values}, on {images:,} − "
            f"{tuned.held_out:,} training images, by the same {design.seeds} seeds. The "
            f"{tuned.held_out:,} held out chose each cell's value, by their mean accuracy over "
            "the seeds. The accuracies here are on the test images, which had no part in the "
            "choice, and of the same runs: none was repeated on all images, so that each has seen "
            f"{100 * tuned.held_out / images:.0f} % fewer than the runs above."
        ),
        Text(
            f"{first}, {second}: a gap of **{_all(points(estimate(effects.gap(tuned.y))))} "
            f"points**; at the recipes' own values it is {points(facts.gap)}. {_smallest(facts)}"
        ),
        *_cautions(tuned),
    ]


def _cautions(tuned: Tuned) -> Iterator[Block]:
    cells = tuned.factorial.cells()
    if edge := tuned.at_the_edge():
        yield Text(
            f"**In {len(edge)} of {len(cells)} cells the best value is the least or the greatest "
            "that was tried:** a better one may lie beyond."
        )
    diverged = sum(len(study.diverged()) for study in tuned.tried)
    if diverged:
        yield Text(f"{diverged} of these runs diverged and count as guessing.")


def _smallest(facts: Facts) -> str:
    """The smallest set of changes, in a sentence."""
    assert facts.tuned is not None
    factors = facts.tuned.factorial.factors
    sets = effects.minimal_sufficient_sets(facts.tuned.y, SUFFICIENT_WITHIN)
    words = " or ".join(changes_of(cell, factors) for cell in sets)
    return (
        f"Enough to come within {100 * SUFFICIENT_WITHIN:.0f} point of `{facts.ends[1]}`: {words}."
    )


def _shares(facts: Facts, tuned: Tuned) -> list[Block]:
    names, own = _names(tuned), effects.shapley(facts.y)
    best = effects.shapley(tuned.y)
    direction = np.sign(effects.gap(tuned.y).mean()) or 1.0
    ranked_shares = sorted(range(len(names)), key=lambda i: -direction * float(best[i].mean()))
    rows = []
    for i in ranked_shares:
        before = own[facts.names.index(names[i])]
        pair = (points(estimate(values)) for values in (before, best[i], best[i] - before))
        rows.append([f"`{names[i]}`", *map(_all, pair)])
    if tuned.key in facts.names:
        share = facts.shares[facts.names.index(tuned.key)]
        rows.append([f"`{tuned.key}`", _all(points(share)), "tuned", ""])
    gaps = effects.gap(facts.y), effects.gap(tuned.y)
    total = (points(estimate(values)) for values in (*gaps, gaps[1] - gaps[0]))
    rows.append(["sum", *map(_all, total)])
    return [
        Table(["factor", "share, recipes' values", "share, best values", "difference"], rows),
        _effects(facts, tuned, ranked_shares),
        *_told_apart(tuned, ranked_shares),
    ]


def _effects(facts: Facts, tuned: Tuned, ranked_shares: Sequence[int]) -> Table:
    names = _names(tuned)
    kinds: Mapping[str, Effects] = {
        f"alone, from {facts.ends[0]}": effects.one_at_a_time,
        f"last, before {facts.ends[1]}": effects.leave_one_out,
        "main effect": effects.main_effects,
    }
    found = [
        (_by_name(facts.names, effect(facts.y)), _by_name(names, effect(tuned.y)))
        for effect in kinds.values()
    ]
    rows = [
        [
            f"`{names[i]}`",
            *(_all(points(some[names[i]])) for own_and_best in found for some in own_and_best),
        ]
        for i in ranked_shares
    ]
    columns = [name for kind in kinds for name in (kind, "the same, best values")]
    return Table(["factor", *columns], rows)


def _told_apart(tuned: Tuned, ranked_shares: Sequence[int]) -> list[Block]:
    """What the seeds don't decide."""
    names, shares = _names(tuned), [estimate(values) for values in effects.shapley(tuned.y)]
    pairs = [
        f"`{names[i]}` and `{names[j]}`"
        for place, i in enumerate(ranked_shares)
        for j in ranked_shares[place + 1 :]
        if shares[i].overlaps(shares[j])
    ]
    lines = [f"{pair} cannot be told apart: their intervals overlap." for pair in pairs]
    lines += [
        f"`{names[i]}` cannot be told apart from no effect: its interval holds 0."
        for i in ranked_shares
        if not shares[i].excludes_zero
    ]
    return [BulletList(lines)] if lines else [Text("All shares can be told apart, and from 0.")]


def _interactions(facts: Facts, tuned: Tuned) -> list[Block]:
    names = _names(tuned)
    if len(names) < 2:
        return []
    own = {
        frozenset(facts.names[i] for i in pair): values
        for pair, values in effects.interactions(facts.y).items()
    }
    best = effects.interactions(tuned.y)
    rows = [
        [
            f"`{names[i]}` × `{names[j]}`",
            _all(points(estimate(own[frozenset((names[i], names[j]))]))),
            _all(points(estimate(values))),
        ]
        for (i, j), values in sorted(best.items(), key=lambda item: -abs(item[1].mean()))
    ]
    return [
        FigureBlock(
            "interactions_tuned.svg",
            "Mean accuracy at the four combinations of each pair of factors, each cell at its "
            f"best {tuned.key}.",
            f"What goes together, each cell at its best `{tuned.key}`.",
        ),
        Table(["pair", "interaction, recipes' values", "interaction, best values"], rows),
    ]


def _values(tuned: Tuned) -> list[Block]:
    """The choice: every cell's accuracy on the images held out, at every value."""
    design, values = tuned.factorial, tuned.values
    validation = tuned.validation.mean(axis=-1)
    rows = []
    for cell in design.cells():
        tried = [
            linked_tuned(f"{100 * accuracy:.2f}", cell, place)
            for place, accuracy in enumerate(validation[(slice(None), *cell)])
        ]
        chosen = int(tuned.chosen[cell])
        tried[chosen] = f"**{tried[chosen]}**"
        best = format_value(values[chosen])
        rows.append([changes_of(cell, design.factors), *tried, f"`{best}`", _reaches(tuned, cell)])
    return [
        Heading("The value of each cell", 3),
        Table(
            ["changed", *(format_value(value) for value in values), "best", "test accuracy"], rows
        ),
        Text(
            f"In the columns of `{tuned.key}`: the accuracy on the images held out, in %, "
            "mean over the seeds; the best is in bold."
        ),
    ]


def _reaches(tuned: Tuned, cell: Cell) -> str:
    words = percents(estimate(tuned.y[cell]))
    return linked_tuned(words, cell, int(tuned.chosen[cell]))


def _value(tuned: Tuned, cell: Cell) -> object:
    return tuned.values[int(tuned.chosen[cell])]


def _names(tuned: Tuned) -> list[str]:
    return [factor.name for factor in tuned.factorial.factors]


def _by_name(names: Sequence[str], values: Array) -> dict[str, Estimate]:
    return {name: estimate(np.asarray(some)) for name, some in zip(names, values, strict=True)}


def _all(text: str) -> str:
    """The text, leading to all tuned runs."""
    return f"[{text}](#tuned-runs)"
