"""How numbers, cells and changes are written in a report."""

from collections.abc import Callable, Sequence, Sized

from sgdprobe.study.effects import Estimate
from sgdprobe.study.factors import Cell, Factor, cell_id


def points(estimate: Estimate) -> str:
    """A difference of accuracies in percentage points: +12.34 [+11.90, +12.78]."""
    return _signed(estimate, 100, 2)


def logits(estimate: Estimate) -> str:
    """A difference on the logit scale."""
    return _signed(estimate, 1, 2)


def _signed(estimate: Estimate, times: float, digits: int) -> str:
    mean, low, high = (
        _minus(f"{times * value:+.{digits}f}")
        for value in (estimate.mean, estimate.low, estimate.high)
    )
    return f"{mean} [{low}, {high}]"


def percents(estimate: Estimate) -> str:
    """An accuracy: 70.12 % [69.80, 70.44]."""
    mean, low, high = (100 * v for v in (estimate.mean, estimate.low, estimate.high))
    return _minus(f"{mean:.2f} % [{low:.2f}, {high:.2f}]")


def _minus(text: str) -> str:
    """A minus as wide as a plus, and no sign for a nought."""
    return "0.00" if text in ("-0.00", "+0.00") else text.replace("-", "−")


def short(value: float | None) -> str:
    """A symptom: three digits, whatever its size; a dash where nothing was recorded."""
    return "–" if value is None else _minus(f"{value:.3g}")


def linked(text: str, cell: Cell) -> str:
    """The text, leading to the runs that it was computed from."""
    return f"[{text}](#cell-{cell_id(cell)})"


def of_all(text: str) -> str:
    """The text, leading to all runs: it was computed from every cell."""
    return f"[{text}](#runs)"


def linked_tuned(text: str, cell: Cell, place: int) -> str:
    """The text, leading to a cell's runs at one value of the tuned setting."""
    return f"[{text}](#tuned-{cell_id(cell)}-{place})"


def changes_of(cell: Cell, factors: Sequence[Factor]) -> str:
    """What a cell changes in the first recipe: `init.scale` and `data.scale`; or nothing."""
    names = [f"`{f.name}`" for f, level in zip(factors, cell, strict=True) if level]
    return listing(names) or "nothing"


def listing(words: Sequence[str]) -> str:
    """The words with commas and a last "and"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def levels(factor: Factor) -> str:
    """From what to what."""
    return f"`{factor.format_level(0)}` → `{factor.format_level(1)}`"


def order(names: Sequence[str], size: Callable[[int], float]) -> list[int]:
    """The places of the names, the largest size first."""
    return sorted(range(len(names)), key=lambda i: -size(i))


def counted(things: Sized, word: str) -> str:
    """For example "1 run", "36 runs"."""
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"
