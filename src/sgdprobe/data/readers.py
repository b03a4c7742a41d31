"""Formats of data sets on disk. READERS lists them: each returns four arrays as they are stored."""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from sgdprobe.data.idx import MAX_GZIP_RATIO, check_is_file, read_idx, read_values
from sgdprobe.errors import DataError


@dataclass(frozen=True)
class StoredArray:
    """An array of uint8, and the name of the file that holds it (and its name in the file)."""

    name: str
    values: NDArray[np.uint8]


@dataclass(frozen=True)
class RawData:
    """Images : (n, height, width) or (n, pixels), labels : (n,), not yet compared to each other.

    The names are the book's: x for images, t ("teacher") for labels. paths : the files read.
    """

    paths: tuple[Path, ...]
    x_train: StoredArray
    t_train: StoredArray
    x_test: StoredArray
    t_test: StoredArray


# The IDX files of MNIST: the begin of each name, and the dimensions of the array in it.
IDX_FILES = (("train-images", 3), ("train-labels", 1), ("t10k-images", 3), ("t10k-labels", 1))


def read_idx_folder(folder: Path) -> RawData:
    """Read a folder with four IDX files, gzipped or not. Raises DataError that names the file."""
    paths = tuple(_find(folder, stem, dimensions) for stem, dimensions in IDX_FILES)
    arrays = (
        StoredArray(str(path), read_idx(path, dimensions))
        for path, (_, dimensions) in zip(paths, IDX_FILES, strict=True)
    )
    return RawData(paths, *arrays)


def _find(folder: Path, stem: str, dimensions: int) -> Path:
    """Return the file that has one of the names under which these files are passed around.

    A folder or an empty file of one name does not hide a good file of the next.
    """
    names = [f"{stem}-idx{dimensions}-ubyte", f"{stem}.idx{dimensions}-ubyte"]
    candidates = [folder / f"{name}{ending}" for name in names for ending in ("", ".gz")]
    there = [candidate for candidate in candidates if candidate.exists()]
    if not there:
        raise DataError(f"{candidates[0]} is missing (so are its other names, .gz and .idx)")
    return next((c for c in there if c.is_file() and c.stat().st_size), there[0])


# The arrays of a .npz file, and the dimensions that each may have.
NPZ_ARRAYS = {"x_train": (2, 3), "t_train": (1,), "x_test": (2, 3), "t_test": (1,)}


# Raised by zipfile, zlib and NumPy's parser of headers for files that are damaged or encrypted.
NPZ_ERRORS = (
    *(BadZipFile, zlib.error, struct.error, TokenError, SyntaxError),
    *(ValueError, TypeError, EOFError, RuntimeError, MemoryError),
)
MAX_NPY_HEADER = 4096  # bytes; NumPy writes 128


def read_npz(file: Path) -> RawData:
    """Read one file made by np.savez(file, x_train=…, t_train=…, x_test=…, t_test=…), all uint8.

    Nothing in it is executed. Raises DataError that names the file and the array.
    """
    check_is_file(file)
    try:
        with ZipFile(file) as archive:
            return RawData((file,), *_npz_arrays(file, archive))
    except OSError as error:
        raise DataError(f"{file} can't be read: {error.strerror or error}") from error
    except NPZ_ERRORS as error:
        raise DataError(f"{file} is no .npz file of plain arrays, or damaged: {error}") from error


def _npz_arrays(file: Path, archive: ZipFile) -> Iterator[StoredArray]:
    held = [name.removesuffix(".npy") for name in archive.namelist()]
    missing = [name for name in NPZ_ARRAYS if f"{name}.npy" not in archive.namelist()]
    if missing:
        arrays = ", ".join(map(repr, held)) or "none"
        raise DataError(f"{file} has no array {', '.join(missing)}; its arrays are {arrays}")
    for name, dimensions in NPZ_ARRAYS.items():
        title = f"{file}: {name}"
        read_array = _npy_labels if name.startswith("t_") else _npy
        yield StoredArray(title, read_array(title, archive, f"{name}.npy", dimensions))


def _npy_labels(
    title: str, archive: ZipFile, member: str, dimensions: tuple[int, ...]
) -> NDArray[np.uint8]:
    """Return labels of any integer type as bytes. Raises DataError for others than 0 … 255."""
    dtype = _header(archive, member)[2]
    if dtype == np.uint8 or dtype.kind not in "iu":
        return _npy(title, archive, member, dimensions)
    shape, _, _, begin = _checked_header(title, archive, member, dimensions)
    with archive.open(member) as stream:
        stream.read(begin)
        most = MAX_GZIP_RATIO * archive.getinfo(member).compress_size
        values = read_values(title, stream, (*shape, dtype.itemsize), most).view(dtype).ravel()
    if len(values) and not 0 <= values.min() <= values.max() <= 255:
        wrong = values[(values < 0) | (values > 255)][0]
        raise DataError(f"{title} has the label {wrong}; labels are 0 … classes - 1, at most 255")
    labels = values.astype(np.uint8)
    labels.flags.writeable = False
    return labels


def _header(archive: ZipFile, member: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return an array's shape, whether it lies column by column, its type, and where it begins."""
    with archive.open(member) as stream:
        head = BytesIO(stream.read(MAX_NPY_HEADER))
    first = npy.read_magic(head) == (1, 0)
    read_header = npy.read_array_header_1_0 if first else npy.read_array_header_2_0
    return (*read_header(head), head.tell())


def _checked_header(
    title: str, archive: ZipFile, member: str, dimensions: tuple[int, ...]
) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return the header of an array with so many dimensions. Raises DataError."""
    header = _header(archive, member)
    if len(header[0]) not in dimensions:
        expected = "(n, height, width) or (n, pixels)" if len(dimensions) > 1 else "(n,)"
        raise DataError(f"{title} has the shape {header[0]}; it must be {expected}")
    return header


def _npy(
    title: str, archive: ZipFile, member: str, dimensions: tuple[int, ...]
) -> NDArray[np.uint8]:
    """Return an array, row by row in memory, of which no more is read than its header says."""
    if (dtype := _header(archive, member)[2]) != np.uint8:
        raise DataError(f"{title} has the type {dtype}; it must be uint8, 0 … 255")
    shape, column_by_column, _, begin = _checked_header(title, archive, member, dimensions)
    with archive.open(member) as stream:
        stream.read(begin)
        most = MAX_GZIP_RATIO * archive.getinfo(member).compress_size
        values = read_values(title, stream, shape[::-1] if column_by_column else shape, most)
    values = np.ascontiguousarray(values.T if column_by_column else values)
    values.flags.writeable = False
    return values


# By the ending of the name of a file, or "folder".
READERS: dict[str, Callable[[Path], RawData]] = {"folder": read_idx_folder, ".npz": read_npz}


def read(root: Path) -> RawData:
    """Read a folder or a file with the reader for it. Raises DataError."""
    try:
        kind = "folder" if root.is_dir() else root.suffix.lower()
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise DataError(f"data.root {root} can't be read: {error.strerror}") from error
    if kind not in READERS:
        files = ", ".join(ending for ending in READERS if ending != "folder")
        raise DataError(f"data.root {root} is not a folder with IDX files, nor a file ({files})")
    return READERS[kind](root)
