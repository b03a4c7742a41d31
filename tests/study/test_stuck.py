"""Runs that get stuck: counted, with exact intervals, and shared out among the changes."""

import numpy as np
import pytest

from sgdprobe.study.intervals import binomial
from sgdprobe.study.stuck import Stuck, halfway

# Two factors, four seeds. Without changes half of the runs stay at the level of guessing, after the
# second none does; the first moves only the runs that learn.
Y = np.array([
    [[0.1, 0.1, 0.6, 0.7], [0.6, 0.6, 0.7, 0.7]],
    [[0.1, 0.1, 0.8, 0.9], [0.8, 0.8, 0.9, 0.9]],
])  # fmt: skip


def test_stuck_runs_by_hand() -> None:
    stuck = Stuck(Y, 0.5, chosen=True)
    assert list(stuck.with_stuck) == [(0, 0), (1, 0)]
    found = stuck.cells[0, 0]
    assert (found.count, found.n) == (2, 4)
    assert (found.low, found.high) == binomial(2, 4)
    assert found.healthy is not None
    assert found.healthy.mean == pytest.approx(0.65)
    assert stuck.cells[1, 1].healthy is not None


def test_the_risk_has_its_own_shares() -> None:
    # The first change has no part in the risk; the second saves the first two seeds.
    np.testing.assert_allclose(Stuck(Y, 0.5, chosen=True).shares, [[0, 0, 0, 0], [1, 1, 0, 0]])


def test_one_healthy_run_has_no_mean_with_an_interval() -> None:
    stuck = Stuck(Y, 0.65, chosen=True)
    assert stuck.cells[0, 0].count == 1
    assert stuck.cells[0, 0].healthy is None


def test_halfway_from_guessing_to_the_better_end() -> None:
    assert halfway(Y, 0.1) == pytest.approx((0.1 + 0.85) / 2)
    assert halfway(Y[::-1, ::-1], 0.1) == pytest.approx((0.1 + 0.85) / 2)
