"""All that training needs, built from settings and data."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sgdprobe.config.settings import Settings
from sgdprobe.data import Dataset
from sgdprobe.nn import EpochMetrics, Network, TrainingState, train
from sgdprobe.rules import Evidence
from sgdprobe.run.build import (
    Params,
    Splits,
    build_network,
    build_optimizer,
    initial_params,
    random_streams,
    splits,
    updates_and_epochs,
)


@dataclass(frozen=True)
class TrainingSetup:
    """A network, its examples and its random stream, ready to be trained.

    initial : the weights before training, in the order of the pixels.
    """

    settings: Settings
    data: Dataset
    initial: Params
    network: Network
    examples: Splits
    batches: np.random.Generator
    updates: int

    @classmethod
    def of(cls, settings: Settings, data: Dataset) -> "TrainingSetup":
        """Build what these settings say."""
        streams = random_streams(settings.seed)
        initial = initial_params(settings, data, streams["weights"])
        network, examples = build_network(settings, data, initial), splits(settings, data)
        updates, _ = updates_and_epochs(settings, data)
        return cls(settings, data, initial, network, examples, streams["batches"], updates)

    def evidence(self) -> Evidence:
        """Return what rules look at before training."""
        return Evidence(
            self.settings,
            self.data,
            self.examples.train,
            self.updates,
            lambda: build_network(self.settings, self.data, self.initial),
            lambda: build_optimizer(self.settings),
        )

    def train(
        self,
        start: TrainingState | None = None,
        on_update: Callable[[TrainingState], None] = lambda _: None,
    ) -> Iterator[EpochMetrics]:
        """Train the network, from `start` if given, and yield the metrics of each epoch."""
        training = self.settings.training
        return train(
            self.network,
            self.examples.train,
            self.examples.test,
            self.batches,
            build_optimizer(self.settings),
            batch_size=training.batch_size,
            updates=self.updates,
            sampling=training.sampling,
            gradient=training.gradient,
            validation=self.examples.validation,
            start=start,
            on_update=on_update,
        )
