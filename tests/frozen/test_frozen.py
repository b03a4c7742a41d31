"""Numbers, refusals and tables are those of the record that was made by version 0.1.0.

Each group has a sandbox of its own, so that groups may run in different processes.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from frozen import frozen
from frozen.frozen import CHECKS, NEEDS_AVX2, PROJECT, TIMEOUT_S, Answer, Sandbox, has_avx2
from support import ForkServer

from sgdprobe.provenance.environment import VARIABLES


class ForkedSandbox(Sandbox):
    """A sandbox whose commands are forks of a process that has imported the libraries.

    That process has pinned kernels, so that `bits=avx2` needs no new interpreter.
    """

    def __init__(self, folder: Path, server: ForkServer, variables: dict[str, str]) -> None:
        super().__init__(folder, PROJECT, Path(sys.executable))
        self._server = server
        self._variables = {**variables, "SGDPROBE_CHECKPOINT_INTERVAL_S": "0.2"}

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        return super().environment({**self._variables, **variables})

    def run(self, script: str, words: Sequence[str], **variables: str) -> Answer:
        with self.slot():
            process = self._server.start(
                self.project / "src" / script,
                words,
                cwd=self.folder / "cwd",
                environment=self.environment(variables),
                folder=Path(tempfile.mkdtemp(dir=self.folder)),
            )
            answer = process.answer(TIMEOUT_S)
        return Answer(answer.returncode, answer.stdout, answer.stderr)


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("group", CHECKS)
def test_nothing_differs_from_the_record(
    group: str,
    fork_servers: Callable[[dict[str, str]], ForkServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if group in NEEDS_AVX2 and not has_avx2():
        pytest.skip("the processor has no AVX2")
    monkeypatch.setattr(frozen, "CHECKPOINT_AFTER_S", 0.3)
    pinned = VARIABLES["avx2"] if has_avx2() else {}
    items = CHECKS[group](ForkedSandbox(tmp_path, fork_servers(pinned), pinned), False)
    assert items
    assert [str(item) for item in items if item.difference] == []
