"""A server that is overloaded, or that is no MLflow server: one line, whatever is asked."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from sgdprobe import tracking
from sgdprobe.errors import UserError
from sgdprobe.tracking import RecordedRun, Store

ANSWERS = {
    "busy": (503, b"busy"),
    "busy, says a proxy": (503, b"<html>busy</html>"),
    "a list": (503, b"[]"),
    "a page to log in": (200, b"<html>log in</html>"),
    "no entry": (401, b"no"),
    "another program": (404, b'{"detail": "not found"}'),
    "no words": (500, b'{"error_code": 5, "message": null}'),
}
RUN = RecordedRun(
    "a" * 32,
    "FINISHED",
    artifact_uri="mlflow-artifacts:/1/a/artifacts",
    tags={"source_hash": "1"},
    metrics={"loss": 1.0},
)

QUESTIONS: dict[str, Callable[[str], object]] = {
    "connect": tracking.connect,
    "find_run": lambda uri: tracking.find_run(tracking.reader(uri), "last"),
    "newest_sweep": lambda uri: tracking.newest_sweep(tracking.reader(uri)),
    "runs_of": lambda uri: tracking.runs_of(tracking.reader(uri), "notes"),
    "series": lambda uri: tracking.reader(uri).series([RUN], ["loss"]),
    "find_experiment": lambda uri: tracking.find_experiment(uri, "notes"),
    "open_experiment": lambda uri: tracking.open_experiment(uri, "notes"),
    "finished_runs": lambda uri: tracking.finished_runs(Store(uri, "notes", "1"), ["1"]),
    "recorded_results": lambda uri: tracking.recorded_results(uri, ["1"]),
    "recorded_losses": lambda uri: tracking.recorded_losses(uri, RUN),
    "read_files": lambda uri: tracking.read_files(uri, RUN),
    "tag_verdict": lambda uri: tracking.tag_verdict(uri, RUN.run_id, "CLOSE"),
    "log_report": lambda uri: tracking.log_report(uri, RUN, Path(__file__), "study"),
    "add_to_sweep": lambda uri: tracking.add_to_sweep(uri, "sweep", [RUN.run_id]),
}


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = ANSWERS[self.server.kind]  # type: ignore[attr-defined]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("kind", ANSWERS)
def test_it_is_said_in_one_line(
    kind: str, question: str, server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    server.kind = kind  # type: ignore[attr-defined]
    with pytest.raises(UserError) as error:
        QUESTIONS[question](f"http://127.0.0.1:{server.server_port}")
    assert "\n" not in str(error.value)
    assert "can't be " in str(error.value)
