"""A picture of any size and kind, made into an image like those that a network was trained on."""

import struct
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sgdprobe.errors import UserError, one_line

# Formats that Pillow decodes itself; others start programs, such as Ghostscript.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS = 64_000_000  # of a file; a few bytes can unpack to far more
WORKING_SIZE = 1000  # pixels of the longer side, after which a picture is looked at
LIGHT, DARK = 170, 85  # a background above or below: no doubt which way round a picture is
LEAST_CONTRAST = 25  # of 255, between a drawing and its background
DIGIT = 20 / 28  # share of an image's side that MNIST's digits fill
SHADES, ASCII_SHADES = " ░▒▓█", " .:*#"

Grey = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class ImageKind:
    """The images that a network knows. border : the median of their outermost pixels, 0 … 255."""

    height: int
    width: int
    border: float = 0.0

    @property
    def is_light_on_dark(self) -> bool:
        """True for drawings like MNIST's: white on black."""
        return self.border < 128


@dataclass(frozen=True)
class Picture:
    """A picture as a network is given it.

    pixels : (height, width) uint8. assumed : sentences that say how it was made of the file.
    """

    file: Path
    pixels: NDArray[np.uint8]
    assumed: tuple[str, ...]

    def drawing(self, columns: int, encoding: str) -> list[str]:
        """Return lines of text that show the pixels; the darker a pixel, the emptier."""
        height, width = self.pixels.shape
        step = max(1, -(-width // columns))
        shades = SHADES if _can_print(SHADES, encoding) else ASCII_SHADES
        padded = np.pad(self.pixels, ((0, -height % (2 * step)), (0, -width % step)))
        # A character is twice as high as it is wide.
        blocks = padded.reshape(len(padded) // (2 * step), 2 * step, -1, step)
        levels = np.ceil(blocks.mean(axis=(1, 3)) / 255 * (len(shades) - 1) - 0.1)
        return ["".join(shades[int(level)] for level in row) for row in levels]


def _can_print(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeError:
        return False
    return True


def read_picture(file: Path, kind: ImageKind, *, whole: bool = False) -> Picture:
    """Return a picture as an image of this kind.

    One that has its size already is used as it is, inverted at most. Of another one the drawing is
    cut out, scaled and centred as MNIST's digits are; with `whole` all of it is scaled. Raises
    UserError in one line that names the file.
    """
    grey, assumed = _grey(file)
    background = float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    is_light_on_dark = _is_light_on_dark(grey, background)
    way = "light on dark" if is_light_on_dark else "dark on light"
    inverts = is_light_on_dark != kind.is_light_on_dark
    assumed = (*assumed, f"{way}, inverted" if inverts else way)
    height, width = kind.height, kind.width
    if grey.shape == (height, width):
        assumed = (*assumed, f"{width} × {height} as the training images: used as it is")
        return Picture(file, _to_bytes(255 - grey if inverts else grey), assumed)
    if whole:
        assumed = (*assumed, f"all of {_size(grey)} scaled to {width} × {height}")
        return Picture(file, _scaled(255 - grey if inverts else grey, width, height), assumed)
    ink = np.maximum(grey - background if is_light_on_dark else background - grey, 0.0)
    if ink.max() < LEAST_CONTRAST:
        low, high = grey.min(), grey.max()
        raise UserError(f"{file}: no drawing found; all its pixels are {low:.0f} … {high:.0f}")
    drawn = _centred(_strengthened(ink), kind)
    if not kind.is_light_on_dark:
        drawn = replace(drawn, pixels=255 - drawn.pixels)
    return replace(drawn, file=file, assumed=(*assumed, *drawn.assumed))


def _grey(file: Path) -> tuple[Grey, tuple[str, ...]]:
    """Return a file's picture as (height, width) grey levels 0 … 255, and what was assumed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UserError(f"{file} has {image.width} × {image.height} pixels: too many")
                return _flattened(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{file} has too many pixels") from error
    except UnidentifiedImageError as error:
        kinds = ", ".join(FORMATS)
        raise UserError(f"{file} is no picture of a known kind ({kinds})") from error
    except OSError as error:
        raise UserError(f"{file} can't be read: {error.strerror or one_line(error)}") from error
    except (ValueError, SyntaxError, EOFError, struct.error, MemoryError) as error:
        raise UserError(f"{file} is a damaged picture: {one_line(error)}") from error


def _flattened(image: Image.Image) -> tuple[Grey, tuple[str, ...]]:
    """Return grey levels without transparency, at most WORKING_SIZE pixels wide and high."""
    assumed: tuple[str, ...] = ()
    if getattr(image, "n_frames", 1) > 1:
        assumed = ("the first of its frames",)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):  # more than 8 bits
        values = np.asarray(image, np.float32)
        deep = values.max() > 255
        image = Image.fromarray(_to_bytes(values / 257 if deep else values))
    elif image.has_transparency_data:
        image, background = _on_background(image.convert("RGBA"))
        assumed = (*assumed, f"what is transparent is {background}") if background else assumed
    image = (image.convert("RGB") if image.mode == "CMYK" else image).convert("L")
    step = max(image.size) // WORKING_SIZE
    return np.asarray(image.reduce(step) if step > 1 else image, np.float64), assumed


def _on_background(image: Image.Image) -> tuple[Image.Image, str]:
    """Put an RGBA picture on white, or on black if what is visible is light; say on which."""
    alpha = np.asarray(image.getchannel("A"), np.float64)
    if alpha.min() == 255:
        return image, ""
    grey = np.asarray(image.convert("RGB").convert("L"), np.float64)
    visible = float(np.average(grey, weights=alpha)) if alpha.any() else 0.0
    name = "black" if visible > 127 else "white"
    return Image.alpha_composite(Image.new("RGBA", image.size, name), image), name


def _is_light_on_dark(grey: Grey, background: float) -> bool:
    if not DARK <= background <= LIGHT:
        return background < DARK
    return bool(grey.max() - background > background - grey.min())


def _strengthened(ink: Grey) -> Grey:
    """Return ink : (height, width) as 0 … 255, with paper at 0 and full strokes at 255.

    Otsu's threshold separates strokes from shades of the paper.
    """
    threshold = _otsu(ink)
    strong = float(ink[ink > threshold].mean())
    weak = 0.5 * threshold
    return np.asarray(np.clip((ink - weak) / (strong - weak), 0.0, 1.0) * 255)


def _otsu(values: Grey) -> float:
    """Return the threshold between two groups of values whose means differ most (Otsu 1979)."""
    counts, edges = np.histogram(values, 64)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = values.size - below
    sums = np.cumsum(counts * centres)
    means_apart = sums[:-1] / np.maximum(below, 1) - (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return float(edges[1 + np.argmax(below * above * means_apart**2)])


def _centred(ink: Grey, kind: ImageKind) -> Picture:
    """Cut out what is drawn, scale it to MNIST's share of the image, and centre its mass."""
    rows, columns = (np.flatnonzero((ink > 127).any(axis=axis)) for axis in (1, 0))
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    room = DIGIT * min(kind.height, kind.width)
    scale = room / max(box.shape)
    high, wide = (max(1, round(scale * side)) for side in box.shape)
    small = _scaled(box, wide, high).astype(np.float64)
    small *= 255 / max(small.max(), 1.0)  # thin strokes fade when they shrink
    pixels = np.zeros((kind.height, kind.width))
    top, left = (
        int(np.clip(round((room_ - 1) / 2 - middle), 0, room_ - size))
        for room_, middle, size in zip(pixels.shape, _middle(small), small.shape, strict=True)
    )
    pixels[top : top + high, left : left + wide] = small
    said = f"the drawing, {_size(box)} of {_size(ink)}, scaled to {wide} × {high} and centred"
    return Picture(Path(), _to_bytes(pixels), (said,))


def _middle(ink: Grey) -> tuple[float, float]:
    """Return row and column of the centre of mass."""
    mass = ink.sum()
    return (
        float(ink.sum(axis=1) @ np.arange(ink.shape[0]) / mass),
        float(ink.sum(axis=0) @ np.arange(ink.shape[1]) / mass),
    )


def _scaled(grey: Grey, width: int, height: int) -> NDArray[np.uint8]:
    image = Image.fromarray(_to_bytes(grey))
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS), np.uint8)


def _to_bytes(grey: Grey) -> NDArray[np.uint8]:
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def _size(grey: Grey) -> str:
    return f"{grey.shape[1]} × {grey.shape[0]}"
