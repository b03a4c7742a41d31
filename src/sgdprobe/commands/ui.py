"""Compare the recorded runs in a browser: MLflow's page, opened at the experiment."""

from collections.abc import Sequence
from contextlib import suppress

from sgdprobe import tracking
from sgdprobe.commands.answers import JSON_HELP, answer, answering
from sgdprobe.commands.browser import open_in_browser
from sgdprobe.commands.cli import STORE_HELP, Parser
from sgdprobe.config.settings import check_value
from sgdprobe.config.validators import number
from sgdprobe.errors import SettingsError, StoreError
from sgdprobe.provenance.command import command_line

PORT = number(int, least=1, below=65536)


def main(words: Sequence[str]) -> int:
    """Serve the store until Ctrl-C; of a store behind a server print the link. Returns 0.

    Raises UserError if there is no store yet, no such experiment, or the port is taken.
    """
    given = parser().parse_args(words)
    port = int(check_value("--port", given.port, PORT))
    uri = tracking.store_uri(given.uri)
    with answering(given.json):
        if tracking.is_server(uri):
            _show(_address(uri, given.experiment))
        else:
            _serve(uri, given.experiment, port)
    return 0


def parser() -> Parser:
    """Return the parser of the options."""
    options = Parser(prog=command_line("ui"), description=(__doc__ or "").strip())
    add = options.add_argument
    add("experiment", nargs="?", help="an experiment's name; default: that of the newest run")
    add("--port", type=int, default=5000, help="default: 5000")
    add("--json", action="store_true", help=JSON_HELP)
    add("--uri", help=STORE_HELP)
    return options


def _serve(uri: str, experiment: str | None, port: int) -> None:
    """Serve a store until Ctrl-C, and find meanwhile which page of it to open."""
    tracking.check_file(uri)
    tracking.check_port(port)
    with tracking.serving(uri, port) as page:
        address = _address(uri, experiment).replace(tracking.UI, f"http://127.0.0.1:{port}")
        page.wait_until_served()
        _show(address)
        with suppress(KeyboardInterrupt):  # how one ends a server
            print("Ctrl-C ends it", flush=True)
            page.wait()


def _address(uri: str, experiment: str | None) -> str:
    """Return the address of an experiment's charts, or of all experiments where none has a run."""
    name = experiment or tracking.newest_experiment(tracking.connect(uri))
    if name is None:
        return f"{tracking.browser_address(uri)}/#/experiments"
    store = tracking.find_experiment(uri, name)
    if store is None:
        raise SettingsError(f"{name}: no such experiment in the store")
    with suppress(StoreError):  # one that may only be read shows its runs, too
        tracking.show(store, ())
    return store.experiment_url()


def _show(address: str) -> None:
    print(address, flush=True)
    answer({"url": address})
    open_in_browser(address)
