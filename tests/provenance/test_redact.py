"""Credentials in addresses: removed from everything that is recorded."""

import pytest

from sgdprobe.config.settings import Settings
from sgdprobe.provenance.redact import redact
from sgdprobe.tracking.recorder import settings_yaml


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("http://ann:pw@host:5000/x", "http://***@host:5000/x"),
        ("see postgresql://ann:p%40w@db and https://t0ken@host", None),
        ("http://host/?api_key=abc&x=1", "http://host/?api_key=***&x=1"),
        ("python train.py 'tracking.uri=mysql+pymysql://u:pw@h/db'", None),
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


def test_settings_are_recorded_without_the_stores_password() -> None:
    settings = Settings.from_dict({"tracking": {"uri": "http://ann:hunter2@host:5000"}})
    text = settings_yaml(settings)
    assert "http://***@host:5000" in text
    assert "hunter2" not in text
