"""The statistics of a gap beside numbers worked by hand and beside simulated studies."""

from itertools import pairwise, permutations, product

import numpy as np
import pytest

from sgdprobe.study import effects
from sgdprobe.study.intervals import Array, half_width

# Two factors a and b, two seeds. In seed 0, a has an effect of 10 alone and of 4 after b; b has one
# of 20 alone and of 14 after a: the effects overlap, the interaction is -6. In seed 1 every effect
# of a is 2 larger.
#             b = 0   b = 1
#   a = 0       50      70
#   a = 1       60      74
BY_HAND = np.array([[[50, 50], [70, 70]], [[60, 62], [74, 76]]], float)


def test_shapley_by_hand() -> None:
    a = (10 + 4) / 2, (12 + 6) / 2
    b = (20 + 14) / 2, (20 + 14) / 2
    np.testing.assert_allclose(effects.shapley(BY_HAND), [a, b])
    np.testing.assert_allclose(effects.gap(BY_HAND), [24, 26])


def test_effects_by_hand() -> None:
    np.testing.assert_allclose(effects.main_effects(BY_HAND), [[7, 9], [17, 17]])
    np.testing.assert_allclose(effects.one_at_a_time(BY_HAND), [[10, 12], [20, 20]])
    np.testing.assert_allclose(effects.leave_one_out(BY_HAND), [[4, 6], [14, 14]])
    ((pair, values),) = effects.interactions(BY_HAND).items()
    assert pair == (0, 1)
    np.testing.assert_allclose(values, [-6, -6])


def test_contribution_range_by_hand() -> None:
    least, most = effects.contribution_range(BY_HAND, 0)
    assert (least.before, least.effect.mean) == ((0, 1), 5)
    assert (most.before, most.effect.mean) == ((0, 0), 11)


@pytest.mark.parametrize(
    ("within", "expected"),
    [
        (0, {(1, 1): 0.0}),
        (5, {(0, 1): 5.0}),
        (15, {(0, 1): 5.0, (1, 0): 14.0}),
        (25, {(0, 0): 25.0}),
    ],
)
def test_minimal_sufficient_sets_by_hand(
    within: float, expected: dict[tuple[int, ...], float]
) -> None:
    found = effects.minimal_sufficient_sets(BY_HAND, within)
    assert {cell: left.mean for cell, left in found.items()} == pytest.approx(expected)
    assert list(found) == list(expected), "the smallest rest comes first"


def test_minimal_sufficient_sets_of_a_negative_gap() -> None:
    assert list(effects.minimal_sufficient_sets(-BY_HAND, 5)) == [(0, 1)]


def test_best_set_of_each_size_by_hand() -> None:
    # Of one change, b leaves 74 - 70 and 76 - 70 to the target; a would leave 14.
    found = effects.best_sets(BY_HAND)
    assert {cell: left.mean for cell, left in found.items()} == {(0, 1): 5}
    assert list(effects.best_sets(-BY_HAND)) == [(0, 1)]


@pytest.mark.parametrize("k", range(1, 8))
def test_shares_sum_to_the_gap(k: int) -> None:
    y = np.random.default_rng(k).normal(0, 100, (2,) * k + (10,))
    np.testing.assert_allclose(effects.shapley(y).sum(axis=0), effects.gap(y), atol=1e-9, rtol=0)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_shapley_is_the_mean_over_all_orderings(k: int) -> None:
    y = np.random.default_rng(k).normal(size=(2,) * k + (3,))
    orderings = np.array([contributions(y, order) for order in permutations(range(k))])
    np.testing.assert_allclose(effects.shapley(y), orderings.mean(axis=0), atol=1e-12)
    for i in range(k):
        least, most = effects.contribution_range(y, i)
        means = orderings[:, i].mean(axis=-1)
        assert (least.effect.mean, most.effect.mean) == pytest.approx((means.min(), means.max()))


def contributions(y: Array, order: tuple[int, ...]) -> Array:
    """Each factor's effect when the changes are made in this order : (k, n)."""
    made = [frozenset(order[:step]) for step in range(len(order) + 1)]
    values = [y[tuple(int(i in done) for i in range(len(order)))] for done in made]
    steps = [after - before for before, after in pairwise(values)]
    return np.array([steps[order.index(i)] for i in range(len(order))])


def surface(kind: str) -> Array:
    """Accuracies (2, 2, 2): additive, with an interaction, or with a third factor of no effect."""
    y = np.empty((2, 2, 2))
    for a, b, c in product((0, 1), repeat=3):
        y[a, b, c] = 0.6 + 0.1 * a + 0.05 * b
        y[a, b, c] += {"additive": 0.08 * c, "interacting": 0.2 * a * b * c - 0.1 * b * c}.get(
            kind, 0.0
        )
    return y


# The true shares: the factors of a product have equal shares of it.
SHARES = {
    "additive": [0.1, 0.05, 0.08],
    "interacting": [0.1 + 0.2 / 3, 0.05 + 0.2 / 3 - 0.05, 0.2 / 3 - 0.05],
    "dead": [0.1, 0.05, 0.0],
}
STUDIES, SEEDS = 1000, 10


def simulated(kind: str) -> Array:
    """Runs (2, 2, 2, studies · seeds) with noise of each seed in all its cells, and of each run."""
    rng = np.random.default_rng(0)
    runs = STUDIES * SEEDS
    return (
        surface(kind)[..., np.newaxis]
        + rng.normal(0, 0.02, runs)
        + rng.normal(0, 0.01, (2, 2, 2, runs))
    )


def coverage(values: Array, truth: float) -> float:
    """Share of the studies whose interval contains the truth; values : (studies · seeds,)."""
    studies = values.reshape(STUDIES, SEEDS)
    return float(np.mean(np.abs(studies.mean(axis=1) - truth) <= half_width(studies)))


@pytest.mark.parametrize("kind", SHARES)
def test_intervals_contain_the_true_shares_in_95_of_100_studies(kind: str) -> None:
    found = effects.shapley(simulated(kind))
    for values, truth in zip(found, SHARES[kind], strict=True):
        assert coverage(values, truth) == pytest.approx(0.95, abs=0.03)


def test_intervals_contain_the_true_interactions_in_95_of_100_studies() -> None:
    found = effects.interactions(simulated("interacting"))
    for pair, truth in {(0, 1): 0.1, (0, 2): 0.1, (1, 2): 0.0}.items():
        assert coverage(found[pair], truth) == pytest.approx(0.95, abs=0.03)


def test_logit_keeps_away_from_0_and_1() -> None:
    found = effects.logit(np.array([0.0, 0.5, 0.9, 1.0]), 0.5 / 100)
    np.testing.assert_allclose(found, [-np.log(199), 0, np.log(9), np.log(199)])
