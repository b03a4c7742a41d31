"""The answer: shares of the gap, what goes together, the ways from one recipe to the other."""

from sgdprobe.config.formatting import format_value
from sgdprobe.reports.document import Block, BulletList, FigureBlock, Heading, Table, Text
from sgdprobe.reports.explanation.facts import Facts
from sgdprobe.reports.explanation.words import (
    changes_of,
    levels,
    linked,
    listing,
    logits,
    of_all,
    percents,
    points,
)
from sgdprobe.study import effects
from sgdprobe.study.effects import SUFFICIENT_WITHIN, Estimate, estimate


def opening(facts: Facts) -> list[Block]:
    """What was asked, whether the baseline stands, and the answer in a few sentences."""
    request = facts.measured.spec
    first, second = facts.ends
    start, end = (
        linked(percents(facts.reaches(cell)), cell)
        for cell in (facts.design.baseline, facts.design.target)
    )
    blocks: list[Block] = [
        Heading(f"{request.name}: {first} → {second}", 1),
        *baseline(facts),
        Text(
            f"Which difference makes which part? `{first}` reaches {start}, `{second}` {end}: "
            f"a gap of **{of_all(points(facts.gap))} points** (n = {facts.design.seeds} seeds, "
            f"2^{len(facts.factors)} = {len(facts.design.cells())} cells, all run)."
        ),
        Text(smallest_words(facts)),
    ]
    if not facts.gap.excludes_zero:
        blocks.append(Text("**The two recipes cannot be told apart:** the gap's interval holds 0."))
    if diverged := facts.measured.diverged():
        blocks.append(
            Text(
                f"**{len(diverged)} runs diverged** and count as guessing, "
                f"{100 * facts.measured.chance:.0f} %; `cells.csv` marks them."
            )
        )
    return [*blocks, Text(f"`{request.command}`")]


def baseline(facts: Facts) -> list[Block]:
    """A word on the claim; the first thing to read where it does not hold."""
    claim = facts.claim
    if claim is None:
        return []
    measured = facts.y[facts.design.baseline]
    low, high = claim.accepted(measured)
    reaches = percents(facts.reaches(facts.design.baseline))
    said = f"{100 * claim.accuracy:.2f} %"
    band = f"{100 * low:.2f} to {100 * high:.2f} %"
    by = "where one more seed would fall" if claim.tolerance is None else "the tolerance asked for"
    if claim.holds(measured):
        return [Text(f"The claim of {said} for `{facts.ends[0]}` stands: it lies in {band}, {by}.")]
    held = listing([f"`{k}={format_value(v)}`" for k, v in facts.design.held_fixed().items()])
    return [
        Text(
            f"**`{facts.ends[0]}` does not reproduce its claim of {said}.** It reaches {reaches}, "
            f"and the claim is not in {band}, {by}. What follows explains the gap of these runs. "
            f"Not varied, so among what could make the rest: {held}; and all that is no setting."
        )
    ]


def smallest_words(facts: Facts) -> str:
    """The smallest set of changes that explains the gap, in a sentence."""
    near = f"within {100 * SUFFICIENT_WITHIN:.0f} point of `{facts.ends[1]}`, or beyond it,"
    sets = [
        f"{linked(changes_of(cell, facts.factors), cell)} (left: {points(left)} points)"
        for cell, left in facts.smallest.items()
    ]
    size = sum(next(iter(facts.smallest)))
    if size == 0:
        return f"The first recipe comes {near} as it is."
    changes = "1 change" if size == 1 else f"{size} changes"
    if size == len(facts.factors):
        return f"It takes all {changes} to come {near[:-1]}."
    return f"The smallest set that comes {near} has {changes}: {'; or '.join(sets)}."


def shares(facts: Facts) -> list[Block]:
    """The waterfall, and each factor's share beside what it does alone."""
    alone = [estimate(v) for v in effects.one_at_a_time(facts.y)]
    last = [estimate(v) for v in effects.leave_one_out(facts.y)]
    main = [estimate(v) for v in effects.main_effects(facts.y)]
    first, second = facts.ends
    rows = [
        [
            f"`{facts.names[i]}`",
            levels(facts.factors[i]),
            f"**{of_all(points(facts.shares[i]))}**",
            linked(points(alone[i]), facts.design.baseline_with(i)),
            linked(points(last[i]), facts.design.target_without(i)),
            of_all(points(main[i])),
        ]
        for i in facts.ranked_shares
    ]
    total = ["sum", "", f"**{of_all(points(facts.gap))}**", "", "", ""]
    steps = ", ".join(f"{facts.names[i]} {points(facts.shares[i])}" for i in facts.ranked_shares)
    return [
        Heading("Shares of the gap"),
        FigureBlock(
            "waterfall.svg",
            f"From {first} to {second}: {steps} points.",
            "Shapley shares: each factor's credit, mean over all orders of making the changes.",
        ),
        Table(
            ["factor", f"{first} → {second}", "share (Shapley)", f"alone, from {first}",
             f"last, before {second}", "main effect"],
            [*rows, total],
        ),
        Text(
            "All in points of test accuracy, with 95 % intervals, each for itself: Student's t "
            f"over the {facts.design.seeds} seeds, which all cells share. Where a factor alone and "
            "the same factor as the last change differ, its effect depends on the others; the "
            "share is the mean over all orders, the main effect the mean over all cells."
        ),
        *told_apart(facts),
    ]  # fmt: skip


def told_apart(facts: Facts) -> list[Block]:
    """What the seeds don't decide."""
    lines = [
        f"`{facts.names[i]}` and `{facts.names[j]}` cannot be told apart: their intervals overlap "
        f"(difference of the shares {of_all(points(difference))}"
        f"{', clear only as a paired difference' if difference.excludes_zero else ''})."
        for i, j, difference in facts.overlapping()
    ]
    lines += [
        f"`{facts.names[i]}` cannot be told apart from no effect: its interval holds 0."
        for i in facts.ranked_shares
        if not facts.shares[i].excludes_zero
    ]
    return [BulletList(lines)] if lines else [Text("All shares can be told apart, and from 0.")]


def together(facts: Facts) -> list[Block]:
    """Interactions, and whether they are a matter of the scale."""
    found = {pair: estimate(v) for pair, v in effects.interactions(facts.y).items()}
    on_logit = {pair: estimate(v) for pair, v in effects.interactions(facts.logit).items()}
    ordered = sorted(found, key=lambda pair: -abs(found[pair].mean))
    rows = [
        [
            f"`{facts.names[i]}` × `{facts.names[j]}`",
            of_all(points(found[i, j])),
            of_all(logits(on_logit[i, j])),
        ]
        for i, j in ordered
    ]
    blocks: list[Block] = [Heading("What goes together")]
    if found:
        i, j = ordered[0]
        alt = (
            "Mean accuracy at the four combinations of each pair of factors. Largest interaction: "
            f"{facts.names[i]} with {facts.names[j]}, {points(found[i, j])} points."
        )
        caption = (
            "Below each panel the first factor of a pair, in its lines the second; mean over all "
            "others, with 95 % intervals. Parallel lines just add up."
        )
        blocks += [
            FigureBlock("interactions.svg", alt, caption),
            Table(["pair", "interaction, points", "interaction, logit"], rows),
            Text(
                "What the one changes after the other's change, minus before it. Below 0: they do "
                "the same work twice; above 0: they need each other. Mean over all other settings."
            ),
        ]
    return [*blocks, *scales(facts, found, on_logit)]


def scales(
    facts: Facts,
    found: dict[tuple[int, int], Estimate],
    on_logit: dict[tuple[int, int], Estimate],
) -> list[Block]:
    """The shares on the logit scale, with a word where it tells another story."""
    rows = [
        [
            f"`{facts.names[i]}`",
            of_all(points(facts.shares[i])),
            of_all(logits(facts.logit_shares[i])),
        ]
        for i in facts.ranked_shares
    ]
    on_scale = logits(estimate(effects.gap(facts.logit)))
    rows.append(["sum", of_all(points(facts.gap)), of_all(on_scale)])
    words = _order_disagrees(facts) + [
        f"The interaction of `{facts.names[i]}` and `{facts.names[j]}` is a matter of the scale: "
        f"{of_all(points(found[i, j]))} points, but {of_all(logits(on_logit[i, j]))} on the logit "
        "scale."
        for i, j in found
        if _sign(found[i, j]) != _sign(on_logit[i, j])
    ]
    return [
        Heading("On the logit scale", 3),
        Text(
            "A point near 100 % is harder won than one near 50 %; log(p / (1 − p)) counts it so, "
            "and has no ceiling that makes changes look alike."
        ),
        Table(["factor", "share, points", "share, logit"], rows),
        BulletList(["**The two scales disagree.**", *words])
        if words
        else Text("The two scales agree on the order of the shares and on every interaction."),
    ]


def _order_disagrees(facts: Facts) -> list[str]:
    ordered = facts.ranked_shares
    pairs = [(a, b) for place, a in enumerate(ordered) for b in ordered[place + 1 :]]
    return [
        f"`{facts.names[a]}` has the larger share in points, `{facts.names[b]}` on the logit scale."
        for a, b in pairs
        if (facts.logit_shares[a].mean - facts.logit_shares[b].mean)
        * (facts.shares[a].mean - facts.shares[b].mean)
        < 0
    ]


def _sign(found: Estimate) -> int:
    """1, -1, or 0 where the interval holds 0."""
    return (found.low > 0) - (found.high < 0)


def ladders(facts: Facts) -> list[Block]:
    """Every order of making the changes, as the least and the most that each factor gets."""
    rows = []
    for i in facts.ranked_shares:
        cells = [
            f"{linked(points(step.effect), step.before)} after "
            f"{changes_of(step.before, facts.factors)}"
            for step in effects.contribution_range(facts.y, i)
        ]
        rows.append([f"`{facts.names[i]}`", *cells])
    return [
        Heading("All ladders"),
        FigureBlock(
            "ladders.svg",
            f"Left: the accuracy of all {len(facts.design.cells())} cells over the number of "
            "changes made, neighbours joined. Right: each factor's least and most credit, as in "
            "the table, with its Shapley share.",
            "A ladder makes the changes one after another. Left, each way up is one; right, how "
            "much a factor's credit depends on the ladder.",
        ),
        Table(["factor", "least credit", "most credit"], rows),
        Text(
            "A factor's credit depends on what was changed before it. Least and most were picked "
            "after looking; their intervals are those of the one step."
        ),
    ]
