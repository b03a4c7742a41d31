"""The IDX format of the MNIST files: a magic number, the sizes, then bytes.

    0 0 8 d    two zeros, 8 for unsigned bytes, the number of dimensions d
    sizes      d big-endian 32-bit integers
    values     their product in bytes, last dimension fastest

Source: "THE IDX FILE FORMAT", at the end of the page that published MNIST (LeCun et al. 1998).
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sgdprobe.errors import DataError

UNSIGNED_BYTE = 8
GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return the array in an IDX file of unsigned bytes, gzipped or not; read-only.

    Raises DataError unless the file holds an array of `dimensions` dimensions, whole.
    """
    content = _content(path)
    if len(content) < 4:
        raise DataError(f"{path} is empty or cut short: {len(content)} bytes")
    if content[:3] != bytes((0, 0, UNSIGNED_BYTE)) or content[3] != dimensions:
        raise DataError(
            f"{path} has the magic number 0x{content[:4].hex()}; "
            f"expected 0x0000{UNSIGNED_BYTE:02x}{dimensions:02x} "
            f"(unsigned bytes in {dimensions} dimensions)"
        )
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"{path} is cut short: {len(content)} bytes, a header has {start}")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise DataError(
            f"{path} has {len(content) - start:,} bytes of values; its header says "
            f"{' × '.join(map(str, shape))} = {math.prod(shape):,}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from error
    if not raw.startswith(GZIP_MAGIC):
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file: {error}") from error
