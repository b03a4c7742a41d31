"""The IDX format, byte by byte."""

import gzip
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sgdprobe.data.idx import read_idx
from sgdprobe.errors import DataError

# Two images of 2 × 3 pixels: 0 0, 8 for unsigned bytes, 3 dimensions; 2, 2, 3; the pixels.
HEADER = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3])
PIXELS = bytes(range(12))
WHOLE = HEADER + PIXELS
LABELS = bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9])
PACKED = gzip.compress(WHOLE, mtime=0)


def test_images_row_by_row(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(WHOLE)
    images = read_idx(path, 3)
    assert images.tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    assert images.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        images[0, 0, 0] = 1


def test_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(LABELS)
    assert read_idx(path, 1).tolist() == [7, 9]


def test_sizes_are_big_endian(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 1, 2]) + bytes(258))
    assert read_idx(path, 1).shape == (258,)  # 1 · 256 + 2


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_gzip_is_known_by_its_bytes_and_not_by_its_name(tmp_path: Path, name: str) -> None:
    for content in (WHOLE, PACKED):
        path = tmp_path / name
        path.write_bytes(content)
        assert read_idx(path, 3).tobytes() == PIXELS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty or cut short: 0 bytes"),
        (WHOLE[:3], "is empty or cut short: 3 bytes"),
        (WHOLE[:15], "is cut short: 15 bytes, a header has 16"),
        (WHOLE[:-1], "has 11 bytes of values; its header says 2 × 2 × 3 = 12"),
        (WHOLE + b"\0", "has more than 12 bytes of values; its header says 2 × 2 × 3 = 12"),
        (b"<html>not found</html>", "has the magic number 0x3c68746d; expected 0x00000803"),
        (LABELS, "has the magic number 0x00000801; expected 0x00000803"),
        # 0x0D: floats. Their bytes are no pixels.
        (b"\0\0\x0d\x03" + WHOLE[4:], "has the magic number 0x00000d03; expected 0x00000803"),
        (PACKED[:-9], "is a damaged gzip file"),  # cut in the pixels
        (PACKED[:-1], "is a damaged gzip file"),  # cut in the length at the end
        (PACKED[:5], "is a damaged gzip file"),
        (PACKED[:15] + b"\xff" + PACKED[16:], "is a damaged gzip file"),  # one byte
        (gzip.compress(b"", mtime=0), "is empty or cut short: 0 bytes"),
        (
            gzip.compress(WHOLE[:-1], mtime=0),
            "has 11 bytes of values; its header says 2 × 2 × 3 = 12",
        ),
        # A header may ask for more than any memory has.
        (b"\0\0\x08\x03" + b"\xff" * 12, "has 0 bytes of values; its header says 4294967295 ×"),
    ],
)
def test_damage_is_told_on_one_line_that_names_the_file(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(path, 3)
    message = str(caught.value)
    assert message.startswith(f"{path} {words}"), message
    assert "\n" not in message


def test_a_bit_flipped_anywhere_in_a_gzip_file_never_passes_for_other_pixels(
    tmp_path: Path,
) -> None:
    path, refused = tmp_path / "images", 0
    for i in range(len(PACKED)):
        path.write_bytes(PACKED[:i] + bytes([PACKED[i] ^ 1]) + PACKED[i + 1 :])
        try:
            assert read_idx(path, 3).tobytes() == PIXELS, f"byte {i}"
        except DataError:
            refused += 1
    # Some bytes of a gzip header, such as its date, say nothing about the content.
    assert refused > len(PACKED) - 10


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Path.mkdir, "is a folder, not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a pipe or a device, not a file"),
        (os.mkfifo, "is a pipe or a device, not a file"),  # reading it would wait for ever
        (lambda path: None, "can't be read: No such file or directory"),
    ],
    ids=["folder", "device", "pipe", "nothing"],
)
def test_what_cannot_be_read_is_told(
    tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    make(path)
    with pytest.raises(DataError) as caught:
        read_idx(path, 3)
    assert str(caught.value) == f"{path} {words}"


def test_a_gzip_file_is_unpacked_no_further_than_its_header_says(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(gzip.compress(WHOLE + bytes(50_000_000), mtime=0))  # 49 kB
    tracemalloc.start()
    with pytest.raises(DataError, match="has more than 12 bytes of values"):
        read_idx(path, 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000, f"{peak:,} bytes"
