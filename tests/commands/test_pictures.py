"""Pictures of every kind become images like the ones that a network was trained on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sgdprobe.commands.pictures import ImageKind, Picture, read_picture
from sgdprobe.errors import UserError

MNIST = ImageKind(28, 28, 0.0)


@pytest.fixture
def digit() -> NDArray[np.uint8]:
    """A seven in the middle of a 28 × 28 image, light on dark, 20 pixels high."""
    image = np.zeros((28, 28), np.uint8)
    image[4:7, 8:20] = 255
    for row in range(7, 24):
        middle = 18 - (row - 7) // 2
        image[row, middle - 1 : middle + 2] = 255
    return image


def large(digit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The digit eight times as large, off the centre of a sheet of 400 × 300."""
    sheet = np.zeros((300, 400), np.uint8)
    sheet[50:274, 150:374] = np.kron(digit, np.ones((8, 8), np.uint8))
    return sheet


def grey(sheet: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(sheet)


def on_transparent(sheet: NDArray[np.uint8], ink: int) -> Image.Image:
    colour = np.full_like(sheet, ink)
    return Image.fromarray(np.dstack([colour, colour, colour, sheet]), "RGBA")


# A picture made from a sheet that is light on dark, and what has to be said of it.
KINDS: dict[str, tuple[Callable[[NDArray[np.uint8]], Image.Image], str]] = {
    "light on dark": (grey, "light on dark"),
    "dark on light": (lambda s: grey(255 - s), "dark on light, inverted"),
    "pale ink": (lambda s: grey(220 - s // 4), "dark on light, inverted"),
    "grey paper": (lambda s: grey(120 + s // 2), "light on dark"),
    "colours": (
        lambda s: Image.fromarray(np.dstack([s, 255 - s, s // 2])).convert("RGB"),
        "dark on light, inverted",
    ),
    "palette": (lambda s: grey(255 - s).convert("RGB").quantize(4), "dark on light, inverted"),
    "black on transparent": (lambda s: on_transparent(s, 0), "what is transparent is white"),
    "white on transparent": (lambda s: on_transparent(s, 255), "what is transparent is black"),
    "two colours": (lambda s: grey(255 - s).convert("1"), "dark on light, inverted"),
    "16 bits": (lambda s: Image.fromarray(s.astype(np.uint16) * 257), "light on dark"),
    "CMYK": (lambda s: grey(255 - s).convert("CMYK"), "dark on light, inverted"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture_becomes_the_same_image(
    kind: str, tmp_path: Path, digit: NDArray[np.uint8]
) -> None:
    make, said = KINDS[kind]
    file = tmp_path / ("picture.tiff" if kind == "CMYK" else "picture.png")
    make(large(digit)).save(file)
    found = read_picture(file, MNIST)
    assert any(said in sentence for sentence in found.assumed), found.assumed
    assert "the drawing, 96 × 160 of 400 × 300, scaled to 12 × 20 and centred" in found.assumed
    assert found.pixels.max() == 255
    assert found.pixels[0].max() == 0
    # The mass is in the middle, and the drawing is the same one.
    mass = found.pixels.sum()
    assert abs(found.pixels.sum(axis=1) @ np.arange(28) / mass - 13.5) <= 0.5
    assert abs(found.pixels.sum(axis=0) @ np.arange(28) / mass - 13.5) <= 0.5
    shift = np.argwhere(found.pixels > 127).min(axis=0) - np.argwhere(digit > 127).min(axis=0)
    moved = np.roll(digit, shift, axis=(0, 1))
    assert np.corrcoef(moved.ravel(), found.pixels.ravel())[0, 1] > 0.95


def test_an_image_of_the_right_size_is_used_as_it_is(
    tmp_path: Path, digit: NDArray[np.uint8]
) -> None:
    off_centre = np.roll(digit, -4, axis=0)
    for number, sheet in enumerate((off_centre, 255 - off_centre)):
        file = tmp_path / f"{number}.png"
        grey(sheet).save(file)
        found = read_picture(file, MNIST)
        assert np.array_equal(found.pixels, off_centre)
        assert "28 × 28 as the training images: used as it is" in found.assumed


def test_a_network_of_dark_images_gets_dark_images(
    tmp_path: Path, digit: NDArray[np.uint8]
) -> None:
    grey(large(digit)).save(tmp_path / "light.png")
    found = read_picture(tmp_path / "light.png", ImageKind(28, 28, 255.0))
    assert "light on dark, inverted" in found.assumed
    assert (found.pixels[0].min(), found.pixels.min()) == (255, 0)


def test_whole_pictures_are_not_cropped(tmp_path: Path, digit: NDArray[np.uint8]) -> None:
    grey(large(digit)).save(tmp_path / "light.png")
    found = read_picture(tmp_path / "light.png", ImageKind(30, 40), whole=True)
    assert found.pixels.shape == (30, 40)
    assert "all of 400 × 300 scaled to 40 × 30" in found.assumed
    assert found.pixels[:, :15].max() < 10
    assert found.pixels[9, 22:30].mean() > 250


def test_images_that_are_not_square(tmp_path: Path, digit: NDArray[np.uint8]) -> None:
    grey(large(digit)).save(tmp_path / "light.png")
    found = read_picture(tmp_path / "light.png", ImageKind(16, 8))
    assert found.pixels.shape == (16, 8)
    assert "scaled to 3 × 6 and centred" in found.assumed[-1]


def bomb(file: Path, side: int) -> None:
    """A PNG of side × side pixels in a few bytes: only its header is looked at."""
    image = Image.new("1", (1, 1))
    image.save(file)
    content = bytearray(file.read_bytes())
    content[16:24] = side.to_bytes(4, "big") * 2
    import zlib

    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    file.write_bytes(bytes(content))


def blank(file: Path) -> None:
    grey(np.full((50, 50), 200, np.uint8)).save(file)


def cut(file: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 50), np.uint8)
    grey(noise).save(file)
    file.write_bytes(file.read_bytes()[:300])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "can't be read: No such file or directory"),
        (lambda f: f.mkdir(), "can't be read: Is a directory"),
        (lambda f: f.write_text("a text"), "is no picture of a known kind (BMP, GIF, JPEG, PNG, "),
        (lambda f: f.write_text("%!PS-Adobe-3.0 EPSF-3.0\n"), "is no picture of a known kind"),
        (lambda f: f.touch(), "is no picture of a known kind"),
        (lambda f: bomb(f, 9_000), "9000 × 9000 pixels: too many"),
        (lambda f: bomb(f, 12_000), "too many"),  # Pillow warns from 9,459 on, and then refuses
        (lambda f: bomb(f, 30_000), "too many"),
        (blank, "no drawing found; all its pixels are 200 … 200"),
        (cut, "can't be read"),
    ],
)
def test_what_is_no_picture(make: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    make(file)
    with pytest.raises(UserError) as error:
        read_picture(file, MNIST)
    text = str(error.value)
    assert text.startswith(str(file))
    assert message in text
    assert "\n" not in text


def test_a_drawing_in_a_terminal() -> None:
    pixels = np.zeros((4, 3), np.uint8)
    pixels[:2, 0] = 255
    pixels[2, 1] = 255
    pixels[2:, 2] = 20
    picture = Picture(Path("x"), pixels, ())
    assert picture.drawing(28, "utf-8") == ["█  ", " ▒░"]
    assert picture.drawing(28, "ascii") == ["#  ", " :."]
    assert picture.drawing(2, "utf-8") == ["▒ "]
