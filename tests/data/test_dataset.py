"""Four files as one dataset: the bundled MNIST, small ones of any shape, and broken ones."""

import gzip
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sgdprobe.data import Dataset, dataset, load, pixel_mean_and_std
from sgdprobe.data.readers import NPZ_ARRAYS
from sgdprobe.errors import DataError
from sgdprobe.nn import Examples

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(folder: Path, rows: int = 2, columns: int = 3, classes: int = 4) -> Path:
    """Eight training images and four test images."""
    rng = np.random.default_rng(0)
    for images, labels, n in ((TRAIN_IMAGES, TRAIN_LABELS, 8), (TEST_IMAGES, TEST_LABELS, 4)):
        pixels = rng.integers(0, 256, (n, rows, columns), dtype=np.uint8)
        (folder / images).write_bytes(idx(pixels))
        (folder / labels).write_bytes(idx((np.arange(n) % classes).astype(np.uint8)))
    return folder


def compress(folder: Path) -> None:
    for path in list(folder.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


# The bundled MNIST.


@pytest.fixture(scope="module")
def mnist() -> Dataset:
    return load("mnist", None)


def test_the_shapes_that_the_notes_print(mnist: Dataset) -> None:
    assert mnist.train_images.shape == (60000, 784)
    assert mnist.test_images.shape == (10000, 784)
    assert mnist.train_labels.shape == (60000,)
    assert mnist.test_labels.shape == (10000,)
    assert (mnist.pixels, mnist.classes) == (784, 10)
    mask = np.random.default_rng(0).choice(60000, 10)
    x, t = Examples(mnist.train_images, mnist.train_labels).batch(mask)
    assert x.shape == (10, 784)
    assert t.shape == (10,)


def test_mnist_is_the_published_one(mnist: Dataset) -> None:
    assert np.bincount(mnist.train_labels).tolist() == [
        *(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    ]
    assert np.bincount(mnist.test_labels).tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]
    assert mnist.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.test_labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


def test_the_darkest_pixels_come_first_and_no_image_lights_the_first_65(mnist: Dataset) -> None:
    light = mnist.train_images.sum(axis=0) + mnist.test_images.sum(axis=0)
    assert sorted(mnist.pixel_order.tolist()) == list(range(784))
    assert (np.diff(light[mnist.pixel_order].astype(int)) >= 0).all()
    assert np.count_nonzero(light == 0) == 65


def test_pixel_statistics_are_the_published_ones(mnist: Dataset) -> None:
    # 0.1307 and 0.3081 of 255, as in every tutorial.
    assert pixel_mean_and_std(mnist, 60_000) == pytest.approx(
        (0.1307 * 255, 0.3081 * 255), abs=0.02
    )


def test_the_digest_of_mnist_is_stable(mnist: Dataset) -> None:
    # It is part of every run's identity: if it changes, no recorded run is recognised any more.
    assert mnist.digest == "5a4d4600f9ae243d0ab9ee1ff6d948035e6f85a423fdfacf899262ac3ca6f325"


@pytest.mark.parametrize("part", ["train_images", "train_labels", "test_images", "test_labels"])
def test_arrays_are_read_only(mnist: Dataset, part: str) -> None:
    array = getattr(mnist, part)
    assert array.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 0


@pytest.mark.parametrize("name", [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS])
def test_a_byte_changed_in_a_bundled_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    shutil.copytree(dataset.BUNDLED, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(dataset, "BUNDLED", tmp_path)
    path = tmp_path / f"{name}.gz"
    content = bytearray(path.read_bytes())
    content[4] ^= 1  # in gzip's date: the images are still whole
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load(f"mnist with a changed {name}", None)
    assert str(caught.value).startswith(f"{path} has the SHA-256 ")


def test_a_bundled_file_that_is_gone_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "BUNDLED", tmp_path)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is missing: this checkout"):
        load("mnist without its files", None)


# Other people's files.


@pytest.mark.parametrize(
    ("rows", "columns", "classes"), [(2, 3, 4), (1, 1, 2), (28, 28, 1), (7, 2, 3)]
)
def test_any_image_size_and_class_count(
    tmp_path: Path, rows: int, columns: int, classes: int
) -> None:
    data = load("small", str(write(tmp_path, rows, columns, classes)))
    assert (data.name, data.pixels, data.classes) == ("small", rows * columns, classes)
    assert data.train_images.shape == (8, rows * columns)
    assert data.test_images.shape == (4, rows * columns)
    assert data.train_images.tobytes() == (tmp_path / TRAIN_IMAGES).read_bytes()[16:]
    assert data.test_labels.tolist() == [i % classes for i in range(4)]


def test_gzipped_or_not_the_data_is_the_same(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    for folder in (plain, packed):
        folder.mkdir()
        write(folder)
    compress(packed)
    assert {path.suffix for path in packed.iterdir()} == {".gz"}
    assert load("small", str(plain)).digest == load("small", str(packed)).digest


def test_the_other_name_of_the_files_is_known(tmp_path: Path) -> None:
    write(tmp_path)
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert load("small", str(tmp_path)).pixels == 6


def test_any_changed_value_changes_the_digest(tmp_path: Path) -> None:
    data = load("small", str(write(tmp_path)))
    assert len(data.digest) == 64
    digests = {data.digest}
    for part in ("train_images", "train_labels", "test_images", "test_labels"):
        changed = getattr(data, part).copy()
        changed.flat[-1] ^= 1
        digests.add(replace(data, **{part: changed}).digest)
    # Shapes count: the same pixels as fewer and larger images are other data.
    digests.add(replace(data, train_images=data.train_images.reshape(4, 12)).digest)
    assert len(digests) == 6


def test_pixel_mean_and_std_are_those_of_the_training_images(tmp_path: Path) -> None:
    data = load("small", str(write(tmp_path)))
    for held_out in (0, 3):
        kept = data.train_images[: 8 - held_out]
        mean, std = pixel_mean_and_std(data, 8 - held_out)
        assert mean == pytest.approx(kept.mean(), rel=1e-12)
        assert std == pytest.approx(kept.std(), rel=1e-12)


def test_other_data_have_the_name_of_their_folder_unless_they_are_given_one(
    tmp_path: Path,
) -> None:
    root = tmp_path / "fashion.v2"
    root.mkdir()
    data = load("mnist", str(write(root)))
    assert data.name == "fashion.v2"
    assert load("mnist", f"{root}/../fashion.v2/").name == "fashion.v2"
    assert load("digits", str(root)).name == "digits"
    parts = data.train_images, data.train_labels, data.test_images, data.test_labels
    arrays: dict[str, Any] = dict(zip(NPZ_ARRAYS, parts, strict=True))
    np.savez(tmp_path / "hats.npz", **arrays)
    assert load("mnist", str(tmp_path / "hats.npz")).name == "hats"


@pytest.mark.parametrize("hidden", [Path.touch, Path.mkdir])
def test_an_empty_file_or_a_folder_does_not_hide_a_good_one(
    tmp_path: Path, hidden: Callable[[Path], None]
) -> None:
    good = write(tmp_path) / TRAIN_IMAGES
    packed = good.with_name(f"{good.name}.gz")
    packed.write_bytes(gzip.compress(good.read_bytes()))
    good.unlink()
    hidden(good)
    assert load("small", str(tmp_path)).files[packed.name]


# Broken files: which, how, and what is said. The path comes first in each message.


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def labels(*values: int) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(idx(np.array(values, np.uint8)))


def images(*shape: int) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(idx(np.zeros(shape, np.uint8)))


def gzipped(damage: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(damage(gzip.compress(path.read_bytes(), mtime=0)))


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        (TRAIN_IMAGES, Path.unlink, "is missing (so are its other names, .gz and .idx)"),
        (TEST_LABELS, Path.unlink, "is missing (so are its other names, .gz and .idx)"),
        (TRAIN_LABELS, lambda path: path.write_bytes(b""), "is empty or cut short: 0 bytes"),
        (TRAIN_IMAGES, labels(0, 1), "has the magic number 0x00000801; expected 0x00000803"),
        (TRAIN_LABELS, images(8, 1, 1), "has the magic number 0x00000803; expected 0x00000801"),
        (TEST_IMAGES, cut, "has 23 bytes of values; its header says 4 × 2 × 3 = 24"),
        (TRAIN_IMAGES, gzipped(lambda packed: packed[:-12]), "is a damaged gzip file"),
        (
            TRAIN_IMAGES,
            gzipped(lambda packed: packed[:20] + bytes([packed[20] ^ 255]) + packed[21:]),
            "is a damaged gzip file",
        ),
        (TRAIN_LABELS, labels(0, 1, 2, 3, 0, 1, 2), "has 7 labels for 8 images"),
        (TEST_LABELS, labels(0, 1, 2, 3, 0), "has 5 labels for 4 images"),
        (
            TEST_IMAGES,
            images(4, 3, 2),
            "has images of 3 × 2 pixels, the training images have 2 × 3",
        ),
        (TEST_LABELS, labels(0, 1, 2, 4), "has the label 4; the training labels are 0 … 3"),
    ],
)
def test_a_broken_file_is_told_on_one_line_that_names_it(
    tmp_path: Path, name: str, damage: Callable[[Path], object], words: str
) -> None:
    damage(write(tmp_path) / name)
    assert refusal(tmp_path).startswith(f"{tmp_path / name} {words}")


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_no_images_at_all(tmp_path: Path, part: str) -> None:
    images(0, 2, 3)(write(tmp_path) / f"{part}-images-idx3-ubyte")
    labels()(tmp_path / f"{part}-labels-idx1-ubyte")
    name = f"{tmp_path / part}-images-idx3-ubyte"
    assert refusal(tmp_path) == f"{name} holds no values; its header says 0 × 2 × 3 = 0"


def test_images_without_pixels(tmp_path: Path) -> None:
    write(tmp_path, rows=0)
    assert refusal(tmp_path).startswith(f"{tmp_path / TRAIN_IMAGES} holds no values; its header")


def test_a_folder_that_is_not_there_or_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "nowhere", tmp_path / "file"):
        assert refusal(root).startswith(f"data.root {root} is not a folder with IDX files, nor a")


def test_a_name_too_long_for_the_system(tmp_path: Path) -> None:
    root = tmp_path / ("x" * 300)
    assert refusal(root) == f"data.root {root} can't be read: File name too long"


def refusal(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        load("broken", str(root))
    assert "\n" not in str(caught.value)
    return str(caught.value)
