"""Damaged data files, thousands of them: each is read as it was, or refused in one line."""

import gzip
import io
import random
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgdprobe.data.idx import read_idx
from sgdprobe.data.readers import read_npz
from sgdprobe.errors import DataError

SEEDS = range(1000)
IMAGES = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)
LABELS = np.arange(5, dtype=np.uint8)
IDX = bytes([0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 4]) + IMAGES.tobytes()
ARRAYS: dict[str, Any] = {
    "x_train": IMAGES, "t_train": LABELS, "x_test": np.asfortranarray(IMAGES), "t_test": LABELS
}  # fmt: skip
# Bytes that mean something in headers: sizes, signs, types, quotes.
TELLING = (0, 1, 2, 3, 8, 13, 31, 127, 128, 255, *b"PK'\"()[]{},:<>|-0189LOVUu\n")


def npz(save: Callable[..., None]) -> bytes:
    file = io.BytesIO()
    save(file, **ARRAYS)
    return file.getvalue()


def damaged(content: bytes, seed: int) -> bytes:
    """The content with one to four faults: bytes changed, cut out, doubled or added."""
    rng = random.Random(seed)  # noqa: S311
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, n = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 8, 30))
        match rng.randrange(6):
            case 0:
                data[at : at + 1] = bytes([rng.choice(TELLING)])
            case 1:
                data[at : at + n] = bytes([rng.choice((0, 255))]) * n
            case 2:
                data[at : at + n] = b""
            case 3:
                data[at:at] = data[at : at + n]
            case 4:
                data[at:at] = rng.randbytes(n)
            case _:
                del data[at:]
        data = data or bytearray(b"\0")
    return bytes(data)


def read_all(file: Path) -> list[bytes]:
    raw = read_npz(file)
    return [part.values.tobytes() for part in (raw.x_train, raw.t_train, raw.x_test, raw.t_test)]


def refusals(content: bytes, path: Path, read: Callable[[Path], object]) -> list[str]:
    """Return the message for each damaged copy that is refused."""
    messages = []
    for seed in SEEDS:
        path.write_bytes(damaged(content, seed))
        try:
            read(path)
        except DataError as error:
            messages.append(str(error))
    return messages


@pytest.mark.parametrize(
    ("content", "read"),
    [
        (IDX, lambda path: read_idx(path, 3)),
        (gzip.compress(IDX, mtime=0), lambda path: read_idx(path, 3)),
        (npz(np.savez), read_all),
        (npz(np.savez_compressed), read_all),
    ],
    ids=["idx", "idx.gz", "npz", "npz compressed"],
)
def test_damage_is_refused_in_one_line(
    content: bytes, read: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "mine.npz"
    path.write_bytes(content)
    read(path)
    messages = refusals(content, path, read)
    assert len(messages) > 0.5 * len(SEEDS)
    assert [text for text in messages if not text.startswith(str(path)) or "\n" in text] == []


def test_a_npz_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    path.write_bytes(npz(np.savez_compressed))
    assert read_all(path) == [array.tobytes() for array in ARRAYS.values()]


def npy(header: str, values: bytes) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + values


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4294967295, 4294967295)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 4294967295, 4294967295)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-5, 12)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-5, -12)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (5L, 12L)",
        "{'descr': '|O', 'fortran_order': False, 'shape': (5, 12)}",
        "{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (5, 12)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (5, True)}",
        "(" * 100,
        "{'descr': __import__('os').abort()}",
    ],
)
def test_headers_that_lie(header: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ARRAYS:
            archive.writestr(f"{name}.npy", npy(header, IMAGES.tobytes()))
    with pytest.raises(DataError) as caught:
        read_npz(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"\x93NUMPY\x02\x00" + (32 << 20).to_bytes(4, "little"), "is no .npz file of plain"),
        (
            npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4194304,)}", b""),
            "the type floa",
        ),
        (npy("{'descr': '|u1', 'fortran_order': False, 'shape': (5, 12)}", b""), "more than 60 by"),
    ],
)
def test_no_more_is_unpacked_than_a_header_says(start: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ARRAYS:
            archive.writestr(f"{name}.npy", start + bytes(32 << 20))
    tracemalloc.start()
    with pytest.raises(DataError, match=re.escape(words)):
        read_npz(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000, f"{peak:,} bytes"
