"""Files that a run records while it happens, in its folder or through a server."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sgdprobe.config.settings import Settings
from sgdprobe.errors import StoreError
from sgdprobe.nn.functions import Array
from sgdprobe.provenance.redact import redact
from sgdprobe.tracking.folders import local_folder, no_temporary_folder, temporary_folder
from sgdprobe.tracking.model import MODEL, WEIGHTS, write_model
from sgdprobe.tracking.store import Store
from sgdprobe.tracking.writing import store_write

__all__: list[str] = []


class FileRecorder:
    """The files of one run in a store. Every method raises StoreError.

    broken : the error of a write that timed out, or None. `run_id` is empty until the run exists.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.broken: StoreError | None = None
        self.run_id = ""
        self._client = store.client()
        self._artifact_uri = ""

    @store_write
    def _artifact(self, name: str, write: Callable[[Path], object]) -> None:
        """Record a file, as a whole; straight in its folder where that is on this machine."""
        folder = local_folder(self.store.uri, self._artifact_uri)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            draft = folder / f".new-{name}"
            try:
                write(draft)
                draft.replace(folder / name)
            finally:
                draft.unlink(missing_ok=True)
            return
        with temporary_folder() as folder:
            try:
                write(folder / name)
            except OSError as error:
                raise no_temporary_folder(error) from error
            self._client.log_artifact(self.run_id, str(folder / name))

    @store_write
    def model(self, files: Mapping[str, str], weights: Mapping[str, Array]) -> None:
        """Record the folder `model`, which MLflow loads, beside the weights.npz of this run.

        files : those of `model_files`. weights : those of weights.npz; a server gets them twice.
        """
        folder = local_folder(self.store.uri, self._artifact_uri)
        if folder is not None:
            write_model(folder, files, folder / WEIGHTS)
            return
        with temporary_folder() as folder:
            np.savez(folder / WEIGHTS, allow_pickle=False, **weights)
            write_model(folder, files, folder / WEIGHTS)
            self._client.log_artifacts(self.run_id, str(folder / MODEL), MODEL)

    def arrays(self, name: str, arrays: Mapping[str, Array]) -> None:
        """Record arrays as an artifact in NumPy's own format: `np.load` opens it."""
        self._artifact(name, lambda path: np.savez(path, allow_pickle=False, **arrays))

    def text(self, name: str, content: str) -> None:
        """Record a text artifact."""
        self._artifact(name, lambda path: path.write_text(redact(content), encoding="utf-8"))

    def json(self, name: str, content: Any) -> None:
        """Record a JSON artifact; Python reads its floats back as they were."""
        self.text(name, json.dumps(content, indent=1))

    def figure(self, name: str, figure: Any) -> None:
        """Record a matplotlib figure as an artifact; the suffix of the name is its format."""
        self._artifact(name, figure.savefig)


def settings_yaml(settings: Settings) -> str:
    """Return all settings as YAML that reads back as the same numbers."""
    nested: dict[str, Any] = {}
    for key, value in settings.flat().items():
        block, _, name = key.rpartition(".")
        values = nested.setdefault(block, {}) if block else nested
        value = redact(value) if isinstance(value, str) else value
        values[name] = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(nested, sort_keys=False, default_flow_style=None)
