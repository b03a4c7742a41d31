"""Seeds that are added until every share is known well enough."""

import numpy as np

from sgdprobe.study.intervals import half_width, stopping_level
from sgdprobe.study.looks import known_within, planned
from sgdprobe.study.spec import StudySpec


def test_planned_looks() -> None:
    assert planned(10) == (10, 15, 23, 35, 53, 80, 100)
    assert planned(2) == (2, 3, 5, 8, 12, 18, 27, 41, 62, 93, 100)
    assert planned(100) == (100,)


def test_a_share_is_known_at_the_level_of_the_looks() -> None:
    spec = StudySpec("any", "a", "b", 10, within=0.01, looks=planned(10))
    values = np.random.default_rng(0).normal(size=10)
    assert spec.level == stopping_level(planned(10)) > 0.96
    scaled = values * 0.01 / float(half_width(values, spec.level))
    assert known_within([0.999 * scaled], spec)
    assert not known_within([0.999 * scaled, 1.001 * scaled], spec)
    assert known_within([np.full(10, 0.2)], spec), "equal seeds: more of them change nothing"
