"""The IDX format of the MNIST files: a magic number, the sizes, then bytes.

    0 0 8 d    two zeros, 8 for unsigned bytes, the number of dimensions d
    sizes      d big-endian 32-bit integers
    values     their product in bytes, last dimension fastest

Source: "THE IDX FILE FORMAT", at the end of the page that published MNIST (LeCun et al. 1998).
"""

import math
import struct
import zlib
from collections.abc import Sequence
from gzip import BadGzipFile, GzipFile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from sgdprobe.errors import DataError

UNSIGNED_BYTE = 8
GZIP_MAGIC = b"\x1f\x8b"
MAX_GZIP_RATIO = 1032  # of unpacked to packed bytes, by the format


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return the array in an IDX file of unsigned bytes, gzipped or not; read-only.

    No more is unpacked than the header announces. Raises DataError unless the file holds an array
    of `dimensions` dimensions, whole.
    """
    check_is_file(path)
    try:
        with path.open("rb") as file:
            packed = file.peek(2).startswith(GZIP_MAGIC)
            stream = GzipFile(fileobj=file) if packed else file
            return _array(path, stream, dimensions)
    except (BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file: {error}") from error
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from error


def check_is_file(path: Path) -> None:
    """Raise DataError for a folder, or for a pipe or device, which could be read for ever."""
    if path.exists() and not path.is_file():
        raise DataError(
            f"{path} is {'a folder' if path.is_dir() else 'a pipe or a device'}, not a file"
        )


def _array(path: Path, stream: IO[bytes] | GzipFile, dimensions: int) -> NDArray[np.uint8]:
    start = 4 + 4 * dimensions
    header = stream.read(start)
    if len(header) < 4:
        raise DataError(f"{path} is empty or cut short: {len(header)} bytes")
    if header[:3] != bytes((0, 0, UNSIGNED_BYTE)) or header[3] != dimensions:
        raise DataError(
            f"{path} has the magic number 0x{header[:4].hex()}; "
            f"expected 0x0000{UNSIGNED_BYTE:02x}{dimensions:02x} "
            f"(unsigned bytes in {dimensions} dimensions)"
        )
    if len(header) < start:
        raise DataError(f"{path} is cut short: {len(header)} bytes, a header has {start}")
    shape = struct.unpack(f">{dimensions}I", header[4:])
    return read_values(str(path), stream, shape, MAX_GZIP_RATIO * path.stat().st_size)


def read_values(
    name: str, stream: IO[bytes] | GzipFile, shape: Sequence[int], most: int
) -> NDArray[np.uint8]:
    """Return the array of this shape, the rest of a stream; read no more than that.

    most : bytes that the stream can have, at most. Raises DataError if there are fewer values than
    the shape says, or more.
    """
    count = math.prod(shape)
    announced = f"its header says {' × '.join(map(str, shape))} = {count:,}"
    if min(shape) <= 0:
        raise DataError(f"{name} holds no values; {announced}")
    values = stream.read(min(count, most) + 1)
    if len(values) != count:
        found = f"{len(values):,}" if len(values) < count else f"more than {count:,}"
        raise DataError(f"{name} has {found} bytes of values; {announced}")
    return np.frombuffer(values, np.uint8).reshape(shape)
