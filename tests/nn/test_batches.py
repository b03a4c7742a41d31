"""Which examples an epoch's updates see."""

from itertools import pairwise

import numpy as np
import pytest

from sgdprobe.nn import SAMPLINGS, permutation, updates_per_epoch, with_replacement


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("n", "batch_size", "updates"),
    [
        (10_000, 100, 100),  # the notes' example
        (60_000, 100, 600),
        (60_000, 128, 469),  # 468 full batches and one of 96
        (7, 7, 1),
        (7, 8, 1),
        (7, 1, 7),
        (7, 3, 3),
    ],
)
def test_updates_per_epoch(n: int, batch_size: int, updates: int) -> None:
    assert updates_per_epoch(n, batch_size) == updates


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [(12, 4, [4, 4, 4]), (10, 4, [4, 4, 2]), (3, 5, [3]), (3, 1, [1, 1, 1])],
)
def test_a_permutation_holds_each_example_once(n: int, batch_size: int, sizes: list[int]) -> None:
    masks = list(permutation(generator(), n, batch_size, updates_per_epoch(n, batch_size)))
    assert [len(mask) for mask in masks] == sizes
    assert sorted(np.concatenate(masks).tolist()) == list(range(n))


def test_each_epoch_permutes_anew_and_mixes_the_batches() -> None:
    rng = generator()
    epochs = [[set(mask.tolist()) for mask in permutation(rng, 100, 10, 10)] for _ in range(20)]
    # To shuffle only the order of the batches would keep their members together.
    for one, next_one in pairwise(epochs):
        assert not any(batch in one for batch in next_one)


def test_with_replacement_draws_full_batches_and_repeats_some_examples() -> None:
    masks = list(with_replacement(generator(), 1000, 100, 10))
    assert [len(mask) for mask in masks] == [100] * 10
    drawn = np.concatenate(masks)
    assert drawn.min() >= 0
    assert drawn.max() < 1000
    # An example is left out of 1,000 draws with probability (1 - 1/1000)^1000 = 0.3677: of 1,000
    # about 632 are seen, give or take sqrt(1000 · (e - 2) / e²) = 10.
    assert 592 < len(set(drawn.tolist())) < 672


def test_with_replacement_reaches_all_examples_equally_often() -> None:
    counts = np.bincount(np.concatenate(list(with_replacement(generator(), 10, 100, 1000))))
    # 100,000 draws, 10,000 for each, give or take sqrt(10,000 · 0.9) = 95.
    assert len(counts) == 10
    assert np.abs(counts - 10_000).max() < 4 * 95, counts


@pytest.mark.parametrize("name", sorted(SAMPLINGS))
def test_a_part_epoch_is_the_start_of_the_epoch(name: str) -> None:
    whole, part = (list(SAMPLINGS[name](generator(), 50, 7, updates)) for updates in (8, 3))
    assert len(whole) == 8
    assert len(part) == 3
    for mask, same in zip(whole[:3], part, strict=True):
        np.testing.assert_array_equal(mask, same)


def test_an_epoch_drawn_at_once_is_one_draw_after_another() -> None:
    rng = generator()
    for mask in with_replacement(generator(), 60_000, 100, 5):
        np.testing.assert_array_equal(mask, rng.integers(0, 60_000, 100))
