"""The cases of the benchmark: faulty programs, each with a healthy twin, read from cases.yaml."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from experiments.faultbench.faults import FOLDER, data_root  # noqa: E402
from sgdprobe.config.settings import Settings  # noqa: E402

CASES = Path(__file__).with_name("cases.yaml")

PLANTED = (
    *("labels", "classes", "pixels", "few_images", "train_test"),
    *("activation", "layers", "output", "loss", "weights"),
    *("learning_rate_high", "learning_rate_low", "optimizer", "batch_size", "too_short"),
    *("weight_decay", "gradient"),
)


@dataclass(frozen=True)
class Case:
    """A faulty program and its healthy twin.

    half : dev or test. planted : the class of the fault, in PLANTED; also : further ones.
    measured : test accuracy of twin and faulty program in %, of those that do no harm.
    twin : settings other than the defaults. fault : settings that differ from the twin's.
    data : the fault in the data, in `faults.FAULTS`. repairable : by a change of settings.
    """

    id: str
    source: str
    planted: str
    twin: Mapping[str, Any]
    half: str = ""
    repairable: bool = True
    fault: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    also: tuple[str, ...] = ()
    note: str = ""
    measured: tuple[float, ...] = ()

    def healthy_settings(self, folder: Path = FOLDER) -> Settings:
        """Return the twin's settings; write its data into the folder if they are generated."""
        return self._settings({}, data_root(self.twin.get("data.root"), None, folder))

    def faulty_settings(self, folder: Path = FOLDER) -> Settings:
        """Return the settings with the fault; write its data into the folder."""
        return self._settings(self.fault, data_root(self.twin.get("data.root"), self.data, folder))

    def _settings(self, fault: Mapping[str, Any], root: str | None) -> Settings:
        return Settings().replace({**self.twin, **fault, "data.root": root})


def read_cases(part: str = "cases", file: Path = CASES) -> list[Case]:
    """Return all cases, in the order of the file; or its part `harmless`."""
    rows = yaml.safe_load(file.read_text())[part]
    return [Case(**{key: _frozen(value) for key, value in row.items()}) for row in rows]


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
