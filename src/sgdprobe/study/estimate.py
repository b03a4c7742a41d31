"""Estimate the time of a study from a few updates of its baseline and its target."""

import time
from dataclasses import replace

import numpy as np

from sgdprobe.config.settings import Settings
from sgdprobe.nn import DivergedError
from sgdprobe.provenance.environment import Environment
from sgdprobe.run.build import load_data, updates_and_epochs
from sgdprobe.run.setup import TrainingSetup
from sgdprobe.study.design import Factorial
from sgdprobe.sweep.workers import process_count

UPDATES = 50  # to time; of a numerical gradient one loss
RECORDING_S = 0.3  # of a run beside its training


def seconds_of_run(settings: Settings) -> float:
    """Estimate the time of one run in one process."""
    setup = TrainingSetup.of(settings, load_data(settings))
    updates, epochs = updates_and_epochs(settings, setup.data)
    if settings.training.gradient == "numerical":
        batch = setup.examples.train.batch(np.arange(settings.training.batch_size))
        setup.network.loss(*batch)  # makes the buffers
        started = time.perf_counter()
        setup.network.loss(*batch)
        each = time.perf_counter() - started
        weights = sum(array.size for array in setup.network.params.values())
        return RECORDING_S + 2 * weights * each * updates
    ends: list[float] = []
    few = replace(setup, updates=min(UPDATES, updates))
    with Environment().single_threaded_blas():
        try:
            for _ in few.train(on_update=lambda _: ends.append(time.perf_counter())):
                evaluation = time.perf_counter() - ends[-1]
        except DivergedError:
            return RECORDING_S  # the run of the study ends here, too
    # The first update also makes the buffers, so it does not count.
    update = (ends[-1] - ends[0]) / max(len(ends) - 1, 1)
    return RECORDING_S + update * updates + evaluation * epochs


def seconds_of_study(factorial: Factorial, runs: int) -> float:
    """Estimate the time of so many runs of a study in all processes."""
    seconds = [seconds_of_run(factorial.settings(cell, 0)) for cell in factorial.corners]
    processes = min(process_count(factorial.base.sweep, runs), runs)
    return sum(seconds) / len(seconds) * runs / processes
