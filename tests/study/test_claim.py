"""The claimed accuracy of the baseline beside its runs."""

import numpy as np
import pytest

from sgdprobe.study.claim import Claim, claim_of

# Mean 0.70, standard deviation 0.01, n = 3.
MEASURED = np.array([0.69, 0.70, 0.71])


def test_without_a_tolerance_the_range_is_that_of_one_more_seed() -> None:
    low, high = Claim(0.7012).accepted(MEASURED)
    assert high - 0.70 == pytest.approx(4.30265 * 0.01 * np.sqrt(4 / 3), rel=1e-5)
    assert low + high == pytest.approx(1.4)
    assert Claim(0.5, 0.8).accepted(MEASURED) == (0.0, 1.0)
    assert Claim(0.74).holds(MEASURED)
    assert not Claim(0.76).holds(MEASURED)


def test_with_a_tolerance_the_range_is_around_the_mean() -> None:
    assert Claim(0.7099, 0.01).holds(MEASURED)
    assert not Claim(0.7101, 0.01).holds(MEASURED)


def test_the_published_claim_unless_another_is_given() -> None:
    assert claim_of("notes", None, 0.01) == Claim(0.7012, 0.01)
    assert claim_of("notes", 0.5, None) == Claim(0.5)
    assert claim_of("book", None, None) is None
