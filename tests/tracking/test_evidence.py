"""What is recorded already: nothing where there is no store, but never nothing by mistake."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


def path_of(uri: str) -> Path:
    return Path(uri.removeprefix("sqlite:///"))


def test_where_there_is_no_store_nothing_is_recorded(tmp_path: Path) -> None:
    from sgdprobe.tracking import recorded_results

    assert recorded_results(f"sqlite:///{tmp_path}/none.db", ["key"]) == {}
    assert list(tmp_path.iterdir()) == [], "asking makes no store"


def scribble(file: Path) -> None:
    file.write_text("no database")


def cut(file: Path) -> None:
    os.truncate(file, 60000)


def damage(file: Path) -> None:
    """All but the first pages: the store opens, and breaks when its runs are read."""
    size = file.stat().st_size
    with file.open("r+b") as stream:
        stream.seek(12288)
        stream.write(b"\xff" * (size - 12288))


@pytest.mark.parametrize("spoil", [scribble, cut, damage])
def test_a_corrupted_store_is_no_empty_one(
    spoil: Callable[[Path], None], new_store: Callable[[], str]
) -> None:
    from sgdprobe.errors import StoreError
    from sgdprobe.tracking import recorded_results

    uri = new_store()
    spoil(path_of(uri))
    with pytest.raises(StoreError, match=r"can't be used: .*(malformed|not a database)") as error:
        recorded_results(uri, ["key"])
    assert "\n" not in str(error.value)
