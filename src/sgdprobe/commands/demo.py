"""Look at a finished sweep: its page, and MLflow. Nothing is trained."""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from sgdprobe import tracking
from sgdprobe.commands import ui
from sgdprobe.commands.answers import JSON_HELP, answer, answering
from sgdprobe.commands.browser import open_in_browser
from sgdprobe.commands.cli import Parser
from sgdprobe.commands.report import sweep_table, write_page
from sgdprobe.config.compose import known_recipes
from sgdprobe.config.formatting import counted, percent
from sgdprobe.errors import UserError, one_line
from sgdprobe.paths import PACKAGE, sqlite_uri
from sgdprobe.provenance.command import command_line

# A store of the recipe `sweep`, made by `python docs/demo.py`.
ARCHIVE = PACKAGE / "data" / "demo.zip"
STORE = "mlflow.db"
ELSEWHERE = "--folder NAME unpacks the demo elsewhere"


def main(words: Sequence[str]) -> int:
    """Unpack the demo, write its page, and start MLflow for a person. Returns the exit code."""
    given = parser().parse_args(words)
    with answering(given.json):
        folder = Path(given.folder).absolute()
        unpack(folder)
        _look(folder)
    if not sys.stdout.isatty() or given.no_ui or given.json:
        return 0
    return ui.main(["--uri", sqlite_uri(folder / STORE)])


def parser() -> Parser:
    """Return the parser of the options."""
    options = Parser(prog=command_line("demo"), description=(__doc__ or "").strip())
    add = options.add_argument
    add("--folder", default="sgdprobe-demo", help="where to unpack it; default: ./sgdprobe-demo")
    add("--no-ui", action="store_true", help="do not start MLflow")
    add("--json", action="store_true", help=JSON_HELP)
    return options


def unpack(folder: Path) -> None:
    """Unpack the demo whole or not at all; one that is there stays as it is.

    Raises UserError for a folder with anything else in it, or where nothing can be written.
    """
    if (folder / STORE).is_file():
        print(f"{folder} is there already, and stays as it is")
        return
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} holds something else; {ELSEWHERE}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as draft:
            whole = Path(draft) / "demo"
            with ZipFile(ARCHIVE) as archive:
                archive.extractall(whole)
            whole.rename(folder)
    except OSError as error:
        message = f"nothing can be unpacked to {folder}: {one_line(error)}; {ELSEWHERE}"
        raise UserError(message) from error


def _look(folder: Path) -> None:
    """Write the page, if it is not there, and say what there is to see."""
    uri = sqlite_uri(folder / STORE)
    sweep = tracking.newest_sweep(tracking.connect(uri))
    table = sweep_table(sweep, uri, known_recipes) if sweep else None
    if table is None:
        raise UserError(f"{folder / STORE} holds no sweep; {ELSEWHERE}")
    place = folder / "mlruns" / "reports" / table.name
    page = place / "index.html"
    if not page.is_file():
        page = write_page(table, uri, place)
    store = tracking.find_experiment(uri, table.runs[0].experiment)
    assert store is not None
    print(f"a finished sweep of {counted(len(table.runs), 'run')}: {', '.join(table.axes)}")
    for word, cell in table.extremes:
        print(f"  {word:5}  test {percent(table.mean(cell) or 0.0)}  {table.settings(cell)}")
    print(f"page: {page}")
    open_in_browser(page.as_uri())
    print(f"in MLflow: {store.ui_command()}, which opens\n  {store.experiment_url()}")
    print(f"your own: {command_line('train', 'notes')}, {command_line('sweep')}")
    answer(
        {"folder": folder, "store": uri, "page": page, "url": store.experiment_url()}
        | {"sweep": table.name, **table.facts()}
    )
