"""Run names: what varies first, short enough for MLflow's narrow column."""

from collections.abc import Iterable

from sgdprobe.settings import Settings, shown

SHORT = {
    "training.learning_rate": "lr",
    "training.batch_size": "batch",
    "init.scale": "scale",
    "data.scale": "pixels",
}
BARE = {"network.hidden", "network.activation", "init.scheme", "dtype", "network.loss"}


def label(key: str) -> str:
    """A setting's short name: lr for training.learning_rate."""
    return SHORT.get(key, key.rpartition(".")[2])


def run_name(settings: Settings, varied: Iterable[str]) -> str:
    """For example "lr=0.1 scale=1 [50,100] seed=3": the varied settings in order, then the seed."""
    values = settings.flat()
    words = [
        shown(values[key]) if key in BARE else f"{label(key)}={shown(values[key])}"
        for key in varied
        if key in values and key != "seed" and not key.startswith(("tracking.", "sweep."))
    ]
    return " ".join([*words, f"seed={settings.seed}"])
