"""What a run's files tell."""

from pathlib import Path

import numpy as np

from sgdprobe.config.settings import Settings
from sgdprobe.study.design import replace_settings
from sgdprobe.study.diagnostics import never_predicted


def test_the_classes_that_a_network_never_predicts(digits: Path) -> None:
    settings = replace_settings(Settings(), {"data.root": str(digits), "network.hidden": ()})
    params = {"W1": np.zeros((784, 10), np.float32), "b1": np.zeros(10, np.float32)}
    params["b1"][3] = 1.0
    assert never_predicted(settings, params) == (0, 1, 2, 4, 5, 6, 7, 8, 9)
    # Bright in the middle, at row 14 and column 14: class 7, whose weight there is the only one.
    params["W1"][14 * 28 + 14, 7] = 100.0
    assert never_predicted(settings, params) == (0, 1, 2, 4, 5, 6, 8, 9)


def test_a_network_that_predicts_every_class(digits: Path) -> None:
    settings = replace_settings(Settings(), {"data.root": str(digits), "network.hidden": ()})
    rng = np.random.default_rng(0)
    params = {
        "W1": rng.normal(0, 1, (784, 10)).astype(np.float32),
        "b1": np.zeros(10, np.float32),
    }
    assert never_predicted(settings, params) == ()
