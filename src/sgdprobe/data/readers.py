"""Formats of data sets on disk. READERS lists them: each returns four arrays as they are stored."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from sgdprobe.data.idx import check_is_file, read_idx
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


def read_npz(file: Path) -> RawData:
    """Read one file made by np.savez(file, x_train=…, t_train=…, x_test=…, t_test=…), all uint8.

    Raises DataError that names the file and the array. Nothing in it is ever executed.
    """
    return RawData((file,), *_npz_arrays(file))


def _npz_arrays(file: Path) -> Iterator[StoredArray]:
    check_is_file(file)
    try:
        with ZipFile(file), np.load(file, allow_pickle=False) as content:
            missing = [name for name in NPZ_ARRAYS if name not in content.files]
            if missing:
                held = ", ".join(map(repr, content.files)) or "none"
                raise DataError(f"{file} has no array {', '.join(missing)}; its arrays are {held}")
            for name, dimensions in NPZ_ARRAYS.items():
                yield _checked(f"{file}: {name}", content[name], dimensions)
    except OSError as error:
        raise DataError(f"{file} can't be read: {error.strerror or error}") from error
    except (ValueError, EOFError, RuntimeError, MemoryError, BadZipFile, zlib.error) as error:
        raise DataError(f"{file} is no .npz file of plain arrays, or damaged: {error}") from error


def _checked(name: str, values: NDArray[np.uint8], dimensions: tuple[int, ...]) -> StoredArray:
    """Check type and dimensions; return the array row by row in memory, and read-only."""
    if values.dtype != np.uint8:
        raise DataError(f"{name} has the type {values.dtype}; it must be uint8, 0 … 255")
    if values.ndim not in dimensions:
        expected = "(n, height, width) or (n, pixels)" if len(dimensions) > 1 else "(n,)"
        raise DataError(f"{name} has the shape {values.shape}; it must be {expected}")
    values = np.ascontiguousarray(values)
    values.flags.writeable = False
    return StoredArray(name, values)


# By the ending of the name of a file, or "folder".
READERS: dict[str, Callable[[Path], RawData]] = {"folder": read_idx_folder, ".npz": read_npz}


def read(root: Path) -> RawData:
    """Read a folder or a file with the reader for it. Raises DataError."""
    kind = "folder" if root.is_dir() else root.suffix.lower()
    if kind not in READERS:
        files = ", ".join(ending for ending in READERS if ending != "folder")
        raise DataError(f"data.root {root} is not a folder with IDX files, nor a file ({files})")
    return READERS[kind](root)
