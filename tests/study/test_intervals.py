"""Intervals beside numbers worked by hand, tables of other books, and simulated studies."""

import numpy as np
import pytest

from sgdprobe.study.intervals import (
    MARKED_BY_CHANCE,
    Estimate,
    at_once,
    binomial,
    estimate,
    half_width,
    redrawn,
    stopping_level,
)


def test_interval_by_hand() -> None:
    # Mean 2, standard deviation 1, n = 3: the 97.5 % quantile of t with 2 degrees is 4.3027.
    found = estimate(np.array([1.0, 2.0, 3.0]))
    assert found.mean == 2
    assert found.high - 2 == pytest.approx(4.30265 / np.sqrt(3), rel=1e-5)
    assert 2 - found.low == pytest.approx(found.high - 2)


def test_equal_seeds_have_no_interval() -> None:
    found = estimate(np.array([0.75, 0.75, 0.75 + 1e-15]))
    assert (found.is_tied, found.low, found.high) == (True, -np.inf, np.inf)
    assert not found.excludes_zero


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
    assert marked == pytest.approx(MARKED_BY_CHANCE, abs=0.01)


def test_estimates_that_overlap() -> None:
    one = Estimate(1.0, 0.5, 1.5)
    assert one.excludes_zero
    assert one.overlaps(Estimate(2.0, 1.5, 2.5))
    assert not one.overlaps(Estimate(2.0, 1.6, 2.4))
    assert not Estimate(0.1, -0.1, 0.3).excludes_zero


def test_a_stuck_run_in_ten_by_hand() -> None:
    # Nine seeds at 0.9, one at 0.1. A study drawn again has that seed with probability
    # 1 - 0.9^10 = 0.651; without it all its seeds are equal, and none of them is at 0.82.
    each, all_of_them = redrawn(np.array([[0.9] * 9 + [0.1]]))
    assert each[0] == all_of_them == pytest.approx(1 - 0.9**10, abs=0.03)


def test_studies_drawn_again_from_normal_seeds_hold() -> None:
    values = np.random.default_rng(1).normal(size=(3, 40))
    each, all_of_them = redrawn(values)
    np.testing.assert_allclose(each, 0.95, atol=0.03)
    assert all_of_them < min(each)
    same, _ = redrawn(np.full((1, 10), 0.1135))
    assert same[0] == 1, "of a cell that always gives the same, every study finds it"


def test_binomial_intervals_of_a_printed_table() -> None:
    # Clopper and Pearson: 0 of 10 leaves up to 1 - 0.025^(1/10); 9 of 10 from 0.555 to 0.9975.
    assert binomial(0, 10) == pytest.approx((0, 1 - 0.025**0.1))
    assert binomial(10, 10) == pytest.approx((0.025**0.1, 1))
    assert binomial(9, 10) == pytest.approx((0.5550, 0.9975), abs=1e-4)


def test_intervals_that_hold_at_once() -> None:
    # Five at 99 % each miss with at most 5 % together. Simulated with five independent means.
    assert at_once(5) == pytest.approx(0.99)
    assert at_once(1) == pytest.approx(0.95)
    studies = np.random.default_rng(2).normal(size=(2000, 5, 10))
    holds = np.abs(studies.mean(axis=-1)) <= half_width(studies, at_once(5))
    assert holds.all(axis=1).mean() == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("asked", [0.4, 0.55, 0.75, 1.0])
def test_intervals_hold_although_one_stops_when_they_are_narrow(asked: float) -> None:
    looks = (5, 8, 12, 18, 27)
    studies = np.random.default_rng(3).normal(size=(10_000, max(looks)))

    def holds(level: float) -> float:
        going, found = np.ones(len(studies), bool), np.zeros(len(studies), bool)
        for n in looks:
            half = half_width(studies[:, :n], level)
            stops = going & ((half <= asked) | (n == looks[-1]))
            found[stops] = (np.abs(studies[:, :n].mean(axis=1)) <= half)[stops]
            going &= ~stops
        return float(found.mean())

    assert holds(stopping_level(looks)) > 0.945
    assert holds(0.95) < 0.945, "with intervals of a fixed number of seeds"


def test_one_look_needs_no_correction() -> None:
    assert stopping_level((10,)) == 0.95
