"""What the files of a run tell of how it began and how it ended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from sgdprobe.config.settings import Settings
from sgdprobe.run.build import build, load_data, splits

if TYPE_CHECKING:
    from sgdprobe.tracking import Result

Params = dict[str, NDArray[np.floating[Any]]]


@dataclass(frozen=True)
class FinalDiagnostics:
    """None for what was not recorded: a run that diverged leaves no weights.

    first_loss : of the first batch, before any update.
    never_predicted : the classes that the trained network gives to no test image.
    """

    first_loss: float | None
    never_predicted: tuple[int, ...] | None


def diagnostics_of(
    settings: Sequence[Settings], results: "Sequence[Result]"
) -> Iterator[FinalDiagnostics]:
    """The signs of each of these runs, from one store. Raises StoreError."""
    from sgdprobe.tracking import recorded_arrays

    uri, run_ids = settings[0].tracking.uri, [result.run_id for result in results]
    losses = recorded_arrays(uri, run_ids, "losses.npz")
    weights = recorded_arrays(uri, run_ids, "weights.npz")
    for one, at_updates, params in zip(settings, losses, weights, strict=True):
        yield FinalDiagnostics(
            None if at_updates is None else float(at_updates["loss"][0]),
            None if params is None else never_predicted(one, dict(params)),
        )


def never_predicted(settings: Settings, params: Params) -> tuple[int, ...]:
    """The classes that a network with these weights, those of all pixels, gives to no test image.

    Most networks give every class to some image of the first chunk: then it stops there.
    """
    data = load_data(settings)
    network = build(settings, data, params)
    never = np.ones(data.classes, bool)
    # As when its accuracy was counted: one thread, and large weights may overflow.
    with (
        _libraries().limit(limits=1, user_api="blas"),
        np.errstate(over="ignore", invalid="ignore"),
    ):
        for x, _ in splits(settings, data).test.chunks():
            never[network.scores(x).argmax(axis=1)] = False
            if not never.any():
                break
    return tuple(map(int, np.flatnonzero(never)))


@cache
def _libraries() -> ThreadpoolController:
    """Which BLAS is loaded: to find that out takes as long as a network on its first images."""
    return ThreadpoolController()
