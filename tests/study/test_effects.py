"""The statistics of a gap beside numbers worked by hand and beside simulated studies."""

from itertools import pairwise, permutations, product

import numpy as np
import pytest

from sgdprobe.study import effects
from sgdprobe.study.effects import Array, Estimate, estimate
from sgdprobe.study.factors import all_cells

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


def test_interval_by_hand() -> None:
    # Mean 2, standard deviation 1, n = 3: the 97.5 % quantile of t with 2 degrees is 4.3027.
    found = estimate(np.array([1.0, 2.0, 3.0]))
    assert found.mean == 2
    assert found.high - 2 == pytest.approx(4.30265 / np.sqrt(3), rel=1e-5)
    assert 2 - found.low == pytest.approx(found.high - 2)


def test_bootstrap_by_hand() -> None:
    # Two seeds drawn twice: the mean is 0, 1/2 and 1 in 1, 2 and 1 of 4 draws; so both tails of
    # 2.5 % are the seeds themselves. The second statistic is 10 less, draw by draw.
    first, second = effects.bootstrap(np.array([[0.0, 1.0], [-10.0, -9.0]]))
    assert first == Estimate(0.5, 0.0, 1.0)
    assert second == Estimate(-9.5, -10.0, -9.0)


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


def test_equal_seeds_have_no_interval() -> None:
    found = estimate(np.array([0.75, 0.75, 0.75 + 1e-15]))
    assert (found.is_tied, found.low, found.high) == (True, -np.inf, np.inf)
    assert not found.excludes_zero
    assert effects.bootstrap(np.array([[0.5, 0.5]])) == [Estimate(0.5, -np.inf, np.inf)]


def test_a_mean_that_rests_on_one_seed_by_hand() -> None:
    # Without the last: mean 2, deviation 1, so the last is 58 / sqrt(4 / 3) = 50.2 deviations away.
    # Of 4 normal seeds one is 22.3 away in 1 of 50 cases: t of 2 degrees at 1 - 0.02 / 8.
    found = estimate(np.array([1.0, 2.0, 3.0, 60.0]))
    assert found.one_seed == (3, estimate(np.array([1.0, 2.0, 3.0])))
    assert estimate(np.array([1.0, 2.0, 3.0, 18.0])).one_seed is None
    assert estimate(np.array([1.0, 1.0, 2.0])).one_seed == (2, Estimate(1.0, -np.inf, np.inf))
    assert estimate(np.array([1.0, 2.0])).one_seed is None


def test_one_of_fifty_means_of_normal_seeds_is_marked() -> None:
    values = np.random.default_rng(0).normal(size=(2000, 6))
    marked = np.mean([estimate(seeds).one_seed is not None for seeds in values])
    assert marked == pytest.approx(effects.MARKED_BY_CHANCE, abs=0.01)


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
    return float(np.mean(np.abs(studies.mean(axis=1) - truth) <= effects.half_width(studies)))


@pytest.mark.parametrize("kind", SHARES)
def test_intervals_contain_the_true_shares_in_95_of_100_studies(kind: str) -> None:
    found = effects.shapley(simulated(kind))
    for values, truth in zip(found, SHARES[kind], strict=True):
        assert coverage(values, truth) == pytest.approx(0.95, abs=0.03)


def test_intervals_contain_the_true_interactions_in_95_of_100_studies() -> None:
    found = effects.interactions(simulated("interacting"))
    for pair, truth in {(0, 1): 0.1, (0, 2): 0.1, (1, 2): 0.0}.items():
        assert coverage(found[pair], truth) == pytest.approx(0.95, abs=0.03)


def test_the_bootstrap_contains_the_truth_less_often() -> None:
    """The reason for Student's t: the percentile bootstrap of ten seeds is too narrow."""
    values = effects.shapley(simulated("dead"))[2].reshape(STUDIES, SEEDS)
    picks = np.random.default_rng(1).integers(0, SEEDS, (1000, SEEDS))
    means = values[:, picks].mean(axis=2)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    assert np.mean((low <= 0) & (high >= 0)) < 0.92


@pytest.mark.parametrize(("k", "unseen"), [(1, 0), (2, 0), (3, 1), (4, 4), (5, 10), (6, 20)])
def test_number_of_held_out_cells(k: int, unseen: int) -> None:
    y = np.random.default_rng(0).normal(size=(2,) * k + (4,))
    found = effects.predictions(y)
    assert len(found) == unseen
    assert all(sum(each.cell) > 2 for each in found)


def test_main_effects_and_pairs_predict_the_rest() -> None:
    rng = np.random.default_rng(2)
    y = np.zeros((2,) * 5 + (10,))
    for cell in all_cells(5):
        y[cell] = 0.5 + 0.05 * sum(cell) - 0.04 * cell[0] * cell[3] + 0.03 * cell[1] * cell[4]
    noisy = y + rng.normal(0, 0.01, y.shape)
    found = effects.predictions(noisy)
    assert effects.model_is_adequate(found)
    for each in effects.predictions(y + rng.normal(0, 0.02, 10)):
        assert each.predicted.mean == pytest.approx(each.measured, abs=1e-9)


def test_an_interaction_of_three_factors_is_not_predicted() -> None:
    y = surface("interacting")[..., np.newaxis] + np.random.default_rng(3).normal(0, 0.01, 10)
    y = y + np.random.default_rng(4).normal(0, 0.003, y.shape)
    (found,) = effects.predictions(y)
    assert found.cell == (1, 1, 1)
    assert found.predicted.mean == pytest.approx(found.measured - 0.2, abs=0.02)
    assert not found.inside
    assert not effects.model_is_adequate([found])


def test_logit_keeps_away_from_0_and_1() -> None:
    found = effects.logit(np.array([0.0, 0.5, 0.9, 1.0]), 0.5 / 100)
    np.testing.assert_allclose(found, [-np.log(199), 0, np.log(9), np.log(199)])


def test_estimates_that_overlap() -> None:
    one = Estimate(1.0, 0.5, 1.5)
    assert one.excludes_zero
    assert one.overlaps(Estimate(2.0, 1.5, 2.5))
    assert not one.overlaps(Estimate(2.0, 1.6, 2.4))
    assert not Estimate(0.1, -0.1, 0.3).excludes_zero
