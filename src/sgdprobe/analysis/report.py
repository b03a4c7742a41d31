"""The pictures of a recorded run, made again from its record."""

import os
import sys
import webbrowser
from pathlib import Path

from sgdprobe.analysis.figures import learning_curve, loss_at_every_update
from sgdprobe.console import PROJECT_ROOT, epoch_table
from sgdprobe.tracking import find_run, read_store, recorded_epochs, recorded_losses

REPORTS = PROJECT_ROOT / "mlruns" / "reports"


def report_run(word: str, uri: str | None) -> int:
    """Draw the run that `word` names, say where the pictures are, show them if there is a screen.

    Raises SettingsError if the word names no run of ours.
    """
    client = read_store(uri)
    run = find_run(client, word)
    epochs, losses = recorded_epochs(client, run), recorded_losses(client, run.info.run_id)
    title = f"{run.data.tags.get('recipe', '')}: {run.info.run_name}"
    figures = {"learning_curve.png": learning_curve(epochs, title)}
    if losses is not None:
        figures["loss_at_every_update.png"] = loss_at_every_update(losses, title)
    folder = REPORTS / run.info.run_id
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{title}  ({run.info.status}, run {run.info.run_id})")
    print(epoch_table(epochs))
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=120)
        print(folder / name)
        _show(folder / name)
    return 0


def _show(picture: Path) -> None:
    """Open a picture for someone who sits in front of a screen."""
    screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY")
    if screen and sys.stdout.isatty():
        webbrowser.open(picture.as_uri())
