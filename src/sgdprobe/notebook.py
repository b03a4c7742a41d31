"""Functions of `import sgdprobe` in a notebook: settings, training, recorded runs, figures.

The same bits as the commands: each update runs with one BLAS thread, and the rest of the notebook
with as many as before.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sgdprobe import reports, tracking
from sgdprobe.config.arguments import check_recipe, recipes
from sgdprobe.config.compose import known_recipes, open_composer
from sgdprobe.config.settings import Settings
from sgdprobe.errors import SettingsError
from sgdprobe.nn import EpochMetrics, Network
from sgdprobe.nn.functions import Array
from sgdprobe.provenance.environment import Environment, check_cpu_kernels
from sgdprobe.run.build import load_data, params_in_pixel_order
from sgdprobe.run.setup import TrainingSetup

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Training", "epochs", "figures", "runs", "settings", "train"]

METRICS = ("loss", "train_accuracy", "test_accuracy")


def settings(recipe: str | None = None, *words: str) -> Settings:
    """Return the settings of a recipe, or the defaults, with changes in the commands' grammar.

    recipe : a file in conf/experiment. words : KEY=VALUE, as on the command line.
    Raises SettingsError for a recipe, a key or a value that does not exist.

    >>> settings("notes", "init.scale=0.01").init.scale
    0.01
    """
    first = [] if recipe is None else [recipe]
    if recipe is not None and "=" not in recipe:
        check_recipe(recipe, recipes())
        first = [f"experiment={recipe}"]
    with open_composer() as composer:
        composed = composer.compose([*first, *words])
    if composed.is_sweep:
        raise SettingsError(f"{recipe}: this recipe is a sweep; choose a recipe of a single run")
    return composed.settings


class Training:
    """A network in training: iterate over it, an epoch at a time.

    setup : data, network, examples, as the settings say. epochs : the metrics of those so far.

    >>> training = train("book", "training.iterations=600")
    >>> for epoch in training:
    ...     print(f"{epoch.epoch}: {epoch.updates} updates, {epoch.test_accuracy:.2f}")
    1: 600 updates, 0.78
    """

    def __init__(self, settings: Settings) -> None:
        check_cpu_kernels(settings.bits)
        self.settings = settings
        self.setup = TrainingSetup.of(settings, load_data(settings))
        self.epochs: list[EpochMetrics] = []
        self._environment = Environment()
        self._steps = self.setup.train()

    def __iter__(self) -> Iterator[EpochMetrics]:
        """Train on, and yield the metrics of each epoch as it ends.

        A loop that was left goes on where it stopped. Raises DivergedError.
        """
        while True:
            with self._environment.single_threaded_blas():
                metrics = next(self._steps, None)
            if metrics is None:
                return
            self.epochs.append(metrics)
            yield metrics

    @property
    def network(self) -> Network:
        """The network as it is now. Its pixels are in the trainer's order.

        `weights` has them as they lie in an image.
        """
        return self.setup.network

    @property
    def weights(self) -> dict[str, Array]:
        """Copies of the weights as they are now, {"W1": (pixels, units), "b1": (units,), …}."""
        params = params_in_pixel_order(self.setup.data, self.network)
        return {name: value.copy() for name, value in params.items()}


def train(recipe: "str | Settings | None" = None, *words: str) -> Training:
    """Return a network that trains while it is iterated over. Nothing is recorded.

    recipe, words : as for `settings`, or settings.
    Raises SettingsError, and DataError for images that cannot be read.
    """
    return Training(recipe if isinstance(recipe, Settings) else settings(recipe, *words))


def runs(what: str = "last-sweep", uri: str | None = None) -> "DataFrame":
    """Return the runs of a sweep or an experiment : a row each, oldest first.

    what : a sweep, an experiment's name, or last-sweep. uri : another store.
    Columns: name, status, seconds, each setting, the last value of each metric; the index is
    run_id. Raises SettingsError if there are none, StoreError.
    """
    from pandas import DataFrame, to_numeric

    found = _found(what, uri)
    rows = [
        {"run_id": run.run_id, "name": run.name, "status": run.status, "seconds": run.seconds}
        | dict(run.params)
        | dict(run.metrics)
        for run in found
    ]
    frame = DataFrame(rows).set_index("run_id")
    for column in frame.columns:
        numbers = to_numeric(frame[column], errors="coerce")
        if numbers.notna().equals(frame[column].notna()):
            frame[column] = numbers
    return frame


def epochs(what: str = "last-sweep", uri: str | None = None) -> "DataFrame":
    """Return loss, train_accuracy and test_accuracy of each epoch of these runs : a row each.

    The index is run_id and epoch. Arguments and errors as of `runs`.
    """
    from pandas import DataFrame

    found = tracking.with_series(tracking.connect(uri), _found(what, uri), METRICS)
    rows = [
        {"run_id": run.run_id, "epoch": number, **dict(zip(METRICS, values, strict=True))}
        for run in found
        for number, values in enumerate(
            zip(*(run.series.get(name, ()) for name in METRICS), strict=False), start=1
        )
    ]
    return DataFrame(rows, columns=["run_id", "epoch", *METRICS]).set_index(["run_id", "epoch"])


def _found(what: str, uri: str | None) -> "list[tracking.RecordedRun]":
    store = tracking.connect(uri)
    word = tracking.newest_sweep(store) if what == "last-sweep" else what
    found = tracking.runs_of(store, word) if word else []
    if not found:
        raise SettingsError(f"{what}: the store holds no such sweep or experiment")
    return found


def figures(what: str = "last-sweep", uri: str | None = None) -> "dict[str, reports.Figure]":
    """Draw a sweep, an experiment or a run; matplotlib figures by name.

    what : as for `runs`; or a run: an id, its beginning, a name, or last. Errors as of `runs`.
    """
    try:
        found = tracking.with_series(tracking.connect(uri), _found(what, uri), METRICS[2:])
    except SettingsError:
        if what == "last-sweep":
            raise
        return _run_figures(what, uri)
    return reports.inline_sweep_figures(reports.SweepTable.of(what, found, known_recipes()))


def _run_figures(word: str, uri: str | None) -> "dict[str, reports.Figure]":
    store = tracking.connect(uri)
    run = tracking.find_run(store, word)
    losses = tracking.recorded_losses(uri, run)
    return reports.inline_run_figures(tracking.recorded_epochs(store, run), losses, run.name)
