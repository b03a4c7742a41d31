"""One .npz file as a data set: the same data as in IDX files, and one line for what is wrong."""

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sgdprobe.data import load
from sgdprobe.errors import DataError

RNG = np.random.default_rng(0)
ARRAYS: dict[str, Any] = {
    "x_train": RNG.integers(0, 256, (8, 2, 3), dtype=np.uint8),
    "t_train": np.arange(8, dtype=np.uint8) % 4,
    "x_test": RNG.integers(0, 256, (4, 2, 3), dtype=np.uint8),
    "t_test": np.arange(4, dtype=np.uint8),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_one_npz_file(save: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.npz"
    save(file, **ARRAYS)
    data = load("mine", str(file))
    assert (data.pixels, data.classes) == (6, 4)
    assert data.train_images.tolist() == ARRAYS["x_train"].reshape(8, 6).tolist()
    assert data.test_labels.tolist() == [0, 1, 2, 3]
    assert data.files == {"mine.npz": hashlib.sha256(file.read_bytes()).hexdigest()}
    with pytest.raises(ValueError, match="read-only"):
        data.train_images[0, 0] = 1


def test_flat_images_and_any_order_in_memory_are_the_same_data(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **ARRAYS)
    flat: dict[str, Any] = {
        name: np.asfortranarray(values.reshape(len(values), -1)) if "x" in name else values
        for name, values in ARRAYS.items()
    }
    np.savez(tmp_path / "b.npz", **flat)
    digests = {load("mine", str(tmp_path / name)).digest for name in ("a.npz", "b.npz")}
    assert len(digests) == 1


@pytest.mark.parametrize("dtype", ["int64", "int32", ">i4", "uint16", "int8"])
def test_labels_of_any_integer_type_are_the_same_data(dtype: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **ARRAYS)
    arrays: dict[str, Any] = {
        name: values.astype(dtype) if name.startswith("t_") else values
        for name, values in ARRAYS.items()
    }
    np.savez(tmp_path / "b.npz", **arrays)
    one, other = (load("mine", str(tmp_path / name)) for name in ("a.npz", "b.npz"))
    assert other.train_labels.dtype == np.uint8
    assert other.digest == one.digest


def test_mnist_in_a_npz_file_is_mnist(tmp_path: Path) -> None:
    mnist = load("mnist", None)
    parts = mnist.train_images, mnist.train_labels, mnist.test_images, mnist.test_labels
    arrays: dict[str, Any] = dict(zip(ARRAYS, parts, strict=True))
    np.savez(tmp_path / "mnist.npz", **arrays)
    assert load("mine", str(tmp_path / "mnist.npz")).digest == mnist.digest


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x_train": ARRAYS["x_train"] / 255}, ": x_train has the type float64; it must be uint8"),
        ({"t_test": np.arange(4.0)}, ": t_test has the type float64; it must be uint8, 0 … 255"),
        ({"t_test": np.array([0, 1, -2, 3])}, ": t_test has the label -2; labels are 0 … classes"),
        ({"t_test": np.array([0, 1, 300, 3])}, ": t_test has the label 300; labels are 0 … cla"),
        ({"t_train": np.eye(8, dtype=int)}, ": t_train has the shape (8, 8); it must be (n,)"),
        ({"t_train": np.eye(4, dtype=np.uint8)}, ": t_train has the shape (4, 4); it must be (n,)"),
        ({"x_test": ARRAYS["t_test"]}, ": x_test has the shape (4,); it must be (n, height, wi"),
        ({"x_test": ARRAYS["x_test"][:, 1:]}, ": x_test has images of 1 × 3 pixels, the train"),
        ({"t_train": ARRAYS["t_train"][1:]}, ": t_train has 7 labels for 8 images"),
        ({"t_test": ARRAYS["t_test"] + np.uint8(1)}, ": t_test has the label 4; the training lab"),
        ({"t_train": None, "x_test": None}, " has no array t_train, x_test; its arrays are 'x_tr"),
        ({"x_train": np.array([{}])}, ": x_train has the type object; it must be uint8, 0 … 255"),
    ],
)
def test_a_wrong_array_is_refused_in_one_line(
    changed: dict[str, NDArray[Any] | None], words: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.npz"
    arrays = {name: a for name, a in (ARRAYS | changed).items() if a is not None}
    np.savez(file, allow_pickle=True, **arrays)
    with pytest.raises(DataError, match=f"^{re.escape(f'{file}{words}')}") as caught:
        load("mine", str(file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"\x93NUMPY\x01\x00"])
def test_a_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "mine.npz"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"is no \.npz file of plain arrays, or damaged: "):
        load("mine", str(file))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.npz can't be read: No such file or directory"):
        load("mine", str(tmp_path / "none.npz"))


def test_other_endings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").touch()
    with pytest.raises(DataError, match=r"mine\.csv is not a folder .* nor a file \(\.npz\)"):
        load("mine", str(tmp_path / "mine.csv"))
