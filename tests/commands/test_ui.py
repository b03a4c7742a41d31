"""ui.py as a process: the link, the server and its end; what it refuses."""

import json
import re
import socket
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from signal import SIGINT

import psutil
import pytest
from support import Answer, Process, free_port

from sgdprobe import tracking


@pytest.fixture
def uri(new_store: Callable[[], str]) -> str:
    """A store with an older and a newer experiment, each with a run."""
    uri = new_store()
    for start_time, name in ((1000, "older"), (2000, "newer")):
        store = tracking.open_experiment(uri, name)
        tags = {"source_hash": "s"}
        store.client().create_run(store.experiment_id, start_time, tags=tags, run_name=name)
    return uri


def test_it_serves_the_newest_experiment_until_ctrl_c(
    uri: str, start: Callable[..., Process], tmp_path: Path
) -> None:
    port = free_port()
    command = start("--uri", uri, "--port", str(port), "--json", script="src/ui.py", cwd=tmp_path)
    command.wait_until(lambda: "Ctrl-C ends it\n" in command.stderr, "an answer")
    link = json.loads(command.stdout)["url"]
    assert re.fullmatch(
        rf"http://127\.0\.0\.1:{port}/#/experiments/2/runs\?workflowType=machine_learning"
        r"&compareRunsMode=CHART&viewStateShareKey=runs",
        link,
    )
    answer = HTTPConnection("127.0.0.1", port, timeout=60)
    answer.request("GET", "/ajax-api/2.0/mlflow/experiments/get?experiment_id=2")
    experiment = json.loads(answer.getresponse().read())["experiment"]
    assert experiment["name"] == "newer"
    assert "mlflow.sharedViewState.runs" in [tag["key"] for tag in experiment["tags"]]
    answer.close()
    servers = psutil.Process(command.pid).children(recursive=True)
    assert len(servers) == 1, "one process serves"
    assert uri not in servers[0].cmdline(), "an address may contain a password"
    command.send(SIGINT)
    assert command.wait() == 0
    assert command.stderr == f"{link}\nCtrl-C ends it\n"
    assert not servers[0].is_running()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none", "--uri={uri}"], r"none: no such experiment in the store"),
        (["--uri={uri}", "--port={busy}"], r"--port must be a free port; got {busy} \(.*in use\):"),
        (["--uri={uri}", "--port=70000"], r"--port must be an integer .* below 65536; got 70000"),
        (["--uri=sqlite:///{folder}/no.db"], r"{folder}/no\.db is not there: no run was recorded"),
    ],
    ids=["experiment", "port", "range", "store"],
)
def test_a_wrong_request_is_one_line(
    words: list[str],
    message: str,
    uri: str,
    run_commands: Callable[..., list[Answer]],
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        facts = {"uri": uri, "busy": taken.getsockname()[1], "folder": tmp_path}
        port = [] if any("--port" in word for word in words) else [f"--port={free_port()}"]
        given = [*(word.format(**facts) for word in words), *port]
        (answer,) = run_commands([given], script="src/ui.py")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert re.match(message.format(**facts), answer.stderr), answer.stderr
    assert answer.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [], "nothing is written"
