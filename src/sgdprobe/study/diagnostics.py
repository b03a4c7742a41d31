"""First loss and classes never predicted, read from the tags that a run recorded."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FinalDiagnostics:
    """Diagnostics of one run; None for those not recorded: a run that diverged has no end.

    first_loss : of the first batch, before any update.
    never_predicted : the classes that the trained network gives to no test image.
    """

    first_loss: float | None
    never_predicted: tuple[int, ...] | None


def final_diagnostics(tags: Mapping[str, str]) -> FinalDiagnostics:
    """Return the diagnostics in a run's tags."""
    loss, classes = (tags.get(f"diagnostic.{name}") for name in ("first_loss", "never_predicted"))
    return FinalDiagnostics(
        None if loss is None else float(loss),
        None if classes is None else tuple(map(int, classes.replace("none", "").split())),
    )
