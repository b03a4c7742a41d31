"""The run of a training loop that is not sgdprobe's: its parameters are the user's."""

from collections.abc import Mapping

from sgdprobe.config.settings import Settings
from sgdprobe.tracking.recorder import RunRecorder
from sgdprobe.tracking.store import Store

__all__ = ["OwnRunRecorder"]


class OwnRunRecorder(RunRecorder):
    """A run in the store as `RunRecorder` makes it, without sgdprobe's settings and data."""

    def __init__(
        self, store: Store, name: str, params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        super().__init__(store, name, Settings(), None, tags)
        self._params = params

    def _describe(self) -> None:
        self._log_params(self._params)
