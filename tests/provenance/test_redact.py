"""Credentials in addresses: removed from everything that is recorded."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import runs_in

from sgdprobe import tracking
from sgdprobe.commands.cli import run_main
from sgdprobe.config.settings import Settings
from sgdprobe.errors import UserError
from sgdprobe.provenance.redact import redact
from sgdprobe.run.build import load_data

if TYPE_CHECKING:
    from mlflow.entities import Run


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("http://ann:pw@host:5000/x", "http://***@host:5000/x"),
        ("see postgresql://ann:p%40w@db and https://t0ken@host", None),
        ("http://host/?api_key=abc&x=1", "http://host/?api_key=***&x=1"),
        ("python train.py 'tracking.uri=mysql+pymysql://u:pw@h/db'", None),
        # Not encoded: SQLAlchemy takes the first @ for the end of a password, people do not.
        ("postgresql://u:pw/pw@host/db", "postgresql://***@host/db"),
        ("postgresql://u:pw@pw'pw@host/db", "postgresql://***@host/db"),
        ("'tracking.uri=mssql://u:12/pw@host'", "'tracking.uri=mssql://***@host'"),
        ("'tracking.uri=postgresql://u:my pw@host/db'", "'tracking.uri=postgresql://***@host/db'"),
        ("the store postgresql://u:a pw/b@h can't be used", None),
        ("http://host:5000/#/x and then a@b", "http://host:5000/#/x and then a@b"),
        ("the store postgresql://host/db is not that of a@b", None),
        ("mysql://host/db?passwd=pw&x=1", "mysql://host/db?passwd=***&x=1"),
        ("mysql://host/db?user=u&ssl_Password=pw", "mysql://host/db?user=u&ssl_Password=***"),
        ("mssql://?odbc_connect=PWD%3Dpw", "mssql://?odbc_connect=***"),
        ("http://u:pw/pw@host/x", "http://***@host/x"),
        ("http://host:5000/#/a@b?orderByKey=x", "http://host:5000/#/a@b?orderByKey=x"),
        ("sqlite:////tmp/a@b.db", "sqlite:////tmp/a@b.db"),
        ("http://host/a@b", "http://host/a@b"),
        ("-    grad @ rate  # x@y", "-    grad @ rate  # x@y"),
    ],
)
def test_addresses_lose_their_credentials_and_nothing_else(text: str, kept: str | None) -> None:
    found = redact(text)
    for secret in ("pw", "p%40w", "t0ken", "abc"):
        assert secret not in found
    assert kept in (found, None)


def test_streams_have_no_credentials(capfd: pytest.CaptureFixture[str]) -> None:
    address = "postgresql://u:p/w@host/db?passwd=pw"

    def main(_: Sequence[str]) -> None:
        print(address)
        raise UserError(f"{address} can't be used")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", sys.__stdout__)
        patch.setattr(sys, "stderr", sys.__stderr__)
        assert run_main(lambda: main, []) == 2
    masked = "postgresql://***@host/db?passwd=***"
    assert capfd.readouterr() == (f"{masked}\n", f"{masked} can't be used\n")


def test_a_record_has_no_credentials(
    new_store: Callable[[], str], digits: Path, artifacts: "Callable[[Run], Path]"
) -> None:
    """Settings, params, tags, provenance: the address of a store may stand in each."""
    address = "postgresql://u:p/w@host/db"
    values = {"tracking": {"uri": address}, "data": {"root": str(digits)}}
    settings = Settings.from_dict(values)
    store = tracking.open_experiment(new_store(), "any")
    data = load_data(settings)
    with tracking.RunRecorder(store, "one", settings, data, {"a": address}) as recorder:
        recorder.tags({"b": address})
        recorder.provenance({"address": address}, {"diff": f"+{address}"})
    (run,) = runs_in(store.uri)
    masked = "postgresql://***@host/db"
    assert [run.data.tags[tag] for tag in "ab"] == [masked] * 2
    assert run.data.params["tracking.uri"] == masked
    for name in ("settings.yaml", "provenance.json", "uncommitted.diff"):
        assert masked in (artifacts(run) / name).read_text(), name
