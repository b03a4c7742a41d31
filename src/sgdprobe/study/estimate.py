"""How long a study will take, from a few updates of its two ends."""

import time

from joblib import effective_n_jobs
from threadpoolctl import threadpool_limits

from sgdprobe.config.settings import Settings
from sgdprobe.nn import DivergedError, train
from sgdprobe.run.build import (
    build_network,
    build_optimizer,
    initial_params,
    load_data,
    random_streams,
    splits,
    updates_and_epochs,
)
from sgdprobe.study.design import Factorial

# Updates that are timed, and seconds a run takes beside its training, mostly for its record.
UPDATES = 50
RECORDING_S = 0.3


def seconds_of_run(settings: Settings) -> float:
    """About how long one run takes in one process."""
    data = load_data(settings)
    streams = random_streams(settings.seed)
    network = build_network(settings, data, initial_params(settings, data, streams["weights"]))
    examples = splits(settings, data)
    updates, epochs = updates_and_epochs(settings, data)
    timed = min(UPDATES, updates)
    ends: list[float] = []
    training = train(
        network,
        examples.train,
        examples.test,
        streams["batches"],
        build_optimizer(settings),
        batch_size=settings.training.batch_size,
        updates=timed,
        sampling=settings.training.sampling,
        gradient=settings.training.gradient,
        on_update=lambda _: ends.append(time.perf_counter()),
    )
    with threadpool_limits(1, "blas"):
        try:
            for _ in training:
                measured = time.perf_counter() - ends[-1]
        except DivergedError:
            return RECORDING_S  # it ends here in the study too
    # The first update is left out of the pace: it also makes the buffers.
    each = (ends[-1] - ends[0]) / max(len(ends) - 1, 1)
    return RECORDING_S + each * updates + measured * epochs


def seconds_of_study(factorial: Factorial, runs: int) -> float:
    """About how long so many of a study's runs take on all processes."""
    ends = [
        seconds_of_run(factorial.settings(cell, 0))
        for cell in (factorial.baseline, factorial.target)
    ]
    processes = 1
    if factorial.base.sweep.backend == "loky":
        processes = min(effective_n_jobs(factorial.base.sweep.n_jobs), runs)
    return sum(ends) / len(ends) * runs / processes
