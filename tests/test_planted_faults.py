"""The table of planted faults fits the source: each text is there once, each test file exists.

The faults themselves are planted by `python tests/planted_faults.py`, which takes a while.
"""

import shutil
from pathlib import Path

import pytest
from planted_faults import FAULTS, ROOT, Fault, faults_in

TABLE = faults_in(FAULTS / "faults.toml")


@pytest.mark.parametrize("fault", TABLE, ids=[fault.name for fault in TABLE])
def test_a_fault_can_be_planted(fault: Fault, tmp_path: Path) -> None:
    copy = tmp_path / fault.file
    copy.parent.mkdir(parents=True)
    shutil.copy(ROOT / fault.file, copy)
    fault.plant(tmp_path)
    assert copy.read_text() != (ROOT / fault.file).read_text()
    for words in fault.tests:
        assert (ROOT / words.split()[0]).exists(), words


def test_every_fault_of_the_first_edition_is_a_fault_of_this_one() -> None:
    names = {fault.name for fault in TABLE}
    assert len(names) > 40
    assert {fault.name for fault in faults_in(FAULTS / "first_edition.toml")} <= names
