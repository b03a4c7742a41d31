"""Twelve differences in at most 200 cells, on surfaces whose shares are known."""

from itertools import combinations

import numpy as np
import pytest

from sgdprobe.config.settings import Settings
from sgdprobe.errors import UserError
from sgdprobe.study.design import Factorial
from sgdprobe.study.effects import shapley
from sgdprobe.study.factors import Cell, Factor
from sgdprobe.study.intervals import Array
from sgdprobe.study.screening import REST, Screening, as_screen, exact, fold_over

K, KEEP, SEEDS = 12, 6, 3


@pytest.mark.parametrize(("k", "cells"), [(3, 8), (7, 32), (8, 32), (12, 32), (16, 32), (17, 64)])
def test_main_effects_are_free_of_each_other_and_of_pairs(k: int, cells: int) -> None:
    design = fold_over(k)
    assert (len(design), design[0], design[-1]) == (cells, (0,) * k, (1,) * k)
    signs = 2 * np.array(design) - 1
    np.testing.assert_array_equal(signs.T @ signs, cells * np.eye(k))
    np.testing.assert_array_equal(signs.sum(axis=0), 0)
    for i, j in combinations(range(k), 2):
        assert not (signs.T @ (signs[:, i] * signs[:, j])).any()


@pytest.mark.parametrize(("k", "is_mixed"), [(6, False), (7, True)])
def test_main_effects_of_six_are_free_of_triples(k: int, is_mixed: bool) -> None:
    """Six columns of 16, as many as can be: a Sidon set in F_2^4."""
    signs = 2 * np.array(fold_over(k)) - 1
    mixed = [
        (i, triple)
        for i in range(k)
        for triple in combinations([j for j in range(k) if j != i], 3)
        if signs[:, i] @ signs[:, triple].prod(axis=1)
    ]
    assert bool(mixed) == is_mixed, mixed


def factorial() -> Factorial:
    factors = tuple(Factor(f"f{i}", (f"key.{i}",), ((0,), (1,))) for i in range(K))
    return Factorial(Settings(), factors, SEEDS)


# Six changes matter, one of them only together with another; the other six do next to nothing.
MAIN = {0: 0.20, 2: 0.10, 5: -0.05, 7: 0.08, 11: 0.15}
PAIRS = {(0, 2): 0.12, (7, 9): 0.10}
SMALL = {1: 0.002, 3: -0.001, 4: 0.003, 6: 0.001, 8: 0.002, 10: -0.002}


def surface(cell: Cell) -> float:
    effects = MAIN | SMALL
    return (
        0.2
        + sum(effect * cell[i] for i, effect in effects.items())
        + sum(effect * cell[i] * cell[j] for (i, j), effect in PAIRS.items())
    )


def accuracies(cells: list[Cell]) -> Array:
    noise = np.random.default_rng(0).normal(0, 0.001, (len(cells), SEEDS))
    return np.array([surface(cell) for cell in cells])[:, np.newaxis] + noise


@pytest.fixture(scope="module")
def screening() -> Screening:
    design = as_screen(factorial(), KEEP)
    return Screening(design, accuracies(design.cells()), KEEP)


def test_what_matters_is_kept(screening: Screening) -> None:
    assert set(screening.kept) == {"f0", "f2", "f5", "f7", "f9", "f11"}
    assert len(screening.rest) == K - KEEP
    found = {name: effect.mean for name, effect in screening.effects.items()}
    # A pair gives half of its interaction to the main effect of either.
    assert found["f0"] == pytest.approx(0.20 + 0.12 / 2, abs=0.002)
    assert found["f9"] == pytest.approx(0.10 / 2, abs=0.002)
    assert found["f4"] == pytest.approx(0.003, abs=0.002)


def test_twelve_differences_need_at_most_200_cells(screening: Screening) -> None:
    study = exact(screening)
    assert [factor.name for factor in study.factors] == ["f0", "f2", "f5", "f7", "f9", "f11", REST]
    assert len(set(screening.design.cells())) + len(study.cells()) == 160
    assert study.factors[-1].values(1) == {f"key.{i}": 1 for i in SMALL}


def test_the_shares_of_the_exact_study_are_those_of_the_whole_surface(screening: Screening) -> None:
    """By hand: a change has its own effect and half of each interaction; the rest has its sum."""
    study = exact(screening)
    kept = [int(name[1:]) for name in screening.kept]
    cells = []
    for cell in study.cells():
        levels = dict(zip(sorted(kept), cell, strict=False))
        cells.append(tuple(levels.get(i, cell[-1]) for i in range(K)))
    y = accuracies(cells).reshape((2,) * len(study.factors) + (SEEDS,))
    wanted = {i: MAIN.get(i, 0) for i in kept}
    for (i, j), effect in PAIRS.items():
        wanted[i] += effect / 2
        wanted[j] += effect / 2
    expected = [*(wanted[i] for i in sorted(kept)), sum(SMALL.values())]
    np.testing.assert_allclose(shapley(y).mean(axis=1), expected, atol=0.002)


def test_two_that_matter_only_together_show_in_the_rest() -> None:
    """Their effect is not lost: it is in the share of the rest."""
    design = as_screen(factorial(), KEEP)

    def hidden(cell: Cell) -> float:
        a, b = 2 * cell[3] - 1, 2 * cell[8] - 1
        return 0.5 + sum(0.02 * cell[i] for i in (0, 1, 2, 4, 5, 6)) + 0.1 * a * b * cell[10]

    y = np.array([hidden(cell) for cell in design.cells()])[:, np.newaxis] + np.zeros(SEEDS)
    assert {"f3", "f8"} <= set(Screening(design, y, KEEP).rest)


def test_pairs_that_the_screening_cannot_tell_apart(screening: Screening) -> None:
    signs = 2 * np.array(screening.design.cells()) - 1
    groups = screening.aliases(screening.design.names)
    assert groups, "16 columns for 66 pairs"
    for group in groups:
        products = [signs[:, int(a[1:])] * signs[:, int(b[1:])] for a, b in group]
        assert all((one == products[0]).all() for one in products)


def test_a_screening_leaves_a_rest() -> None:
    with pytest.raises(
        UserError, match=r"--screen must keep at least 1 of the 12 .*, 1 to 10; got 11"
    ):
        as_screen(factorial(), K - 1)
    few = Factorial(Settings(), factorial().factors[:2], SEEDS)
    with pytest.raises(UserError, match=r"--screen is for 3 differences or more; these are 2"):
        as_screen(few, 1)
