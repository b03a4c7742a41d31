"""How is a contestant kept from disturbing the others? In a process of its own, on one core.

That process waits for its turn: the parent writes a request on a line, the child trains and
evaluates, and answers on a line; both in JSON.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from contestants import CONTESTANTS
from machine import ONE_THREAD, pin_cpu_kernels
from problem import Contestant, Problem, epoch_masks, load_problem


@dataclass(frozen=True)
class Turn:
    """One epoch and its evaluation, in seconds; accuracies after it, None where none is learned."""

    updates: int
    updating: float
    evaluating: float
    train_accuracy: float | None
    test_accuracy: float | None

    @property
    def epoch(self) -> float:
        """Both."""
        return self.updating + self.evaluating


class ContestantProcess:
    """The parent's side: one contestant, or some that share a process."""

    def __init__(self, names: Sequence[str], core: int | None, cache: Path) -> None:
        """cache : where PyTorch keeps compiled code; empty, so that compiling is seen."""
        self._child = subprocess.Popen(
            [sys.executable, __file__, ",".join(names), *([] if core is None else [str(core)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ONE_THREAD, "TORCHINDUCTOR_CACHE_DIR": str(cache)},
        )

    def turn(self, name: str, updates: int, *, fresh: bool = False) -> Turn | str:
        """Train and evaluate, if fresh from the initial weights on. A text says why it can't."""
        assert self._child.stdin
        assert self._child.stdout
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            self._child.stdin.write(f"{json.dumps([name, updates, fresh])}\n")
            self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if not answer:
            return f"its process ended with exit code {self._child.wait()}"
        content = json.loads(answer)
        return content if isinstance(content, str) else Turn(**content)

    def close(self) -> None:
        """Let the process end."""
        self._child.communicate()


class Seat:
    """The child's side: a contestant and the generator of its batches."""

    def __init__(self, name: str, problem: Problem) -> None:
        self.entry = CONTESTANTS[name]
        self.problem = problem
        self.contestant: Contestant | None = None

    def turn(self, updates: int, fresh: bool) -> Turn | str:
        if fresh or self.contestant is None:
            try:
                self.contestant = self.entry.enter(self.problem)
            except ImportError as error:
                return f"not installed (pip install {self.entry.needs}): {error}"
            self.rng = np.random.default_rng(0)
        masks = epoch_masks(self.rng, updates)
        started = time.perf_counter()
        self.contestant.updates(masks)
        updated = time.perf_counter()
        accuracies = self.contestant.evaluate() or (None, None)
        return Turn(updates, updated - started, time.perf_counter() - updated, *accuracies)


def serve(names: Sequence[str]) -> None:
    """Answer requests until there are no more."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    problem = load_problem()
    seats = {name: Seat(name, problem) for name in names}
    for line in sys.stdin:
        name, updates, fresh = json.loads(line)
        answer: Any
        try:
            answer = seats[name].turn(updates, fresh)
        except Exception as error:
            answer = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        print(json.dumps(answer if isinstance(answer, str) else asdict(answer)), file=answers)
        answers.flush()


if __name__ == "__main__":
    pin_cpu_kernels(int(sys.argv[2]) if sys.argv[2:] else None)
    serve(sys.argv[1].split(","))
