"""Plant a fault in the source for each promise of the README, and run the tests that must fail.

python tests/planted_faults.py [--tree DIRECTORY] [--python PYTHON] [NAME ...]

The faults are in faults/faults.toml. A fault is a text that occurs once in a file, and the text
that takes its place. Each is planted in a temporary copy of the tree. With --tree, the tree is a
checkout of the first edition, and the faults are those of faults/first_edition.toml.
"""

import argparse
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FAULTS = Path(__file__).resolve().parent / "faults"
TIMEOUT_S = 1800.0
TESTS_FAILED = 1  # pytest's exit code


@dataclass(frozen=True)
class Fault:
    """A fault: `old` becomes `new` in `file`, and one of `tests` must fail.

    tests : words for pytest, such as "tests/nn/test_functions.py -k softmax".
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    promise: str

    def plant(self, root: Path) -> None:
        """Change the file. Raises ValueError unless the old text occurs once."""
        file = root / self.file
        text = file.read_text() if file.exists() else ""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.old!r} is {text.count(self.old)} times in {file}")
        file.write_text(text.replace(self.old, self.new))


def faults_in(table: Path) -> list[Fault]:
    """All faults of a table."""
    rows = tomllib.loads(table.read_text())
    return [
        Fault(name, **{**row, "tests": tuple(row["tests"]), "promise": row.get("promise", "")})
        for name, row in rows.items()
    ]


def failing_test(fault: Fault, tree: Path, python: Path) -> str | None:
    """The first test that fails with the fault; None if it is missed."""
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        root = copy_of(tree, Path(folder) / "tree")
        fault.plant(root)
        for words in fault.tests:
            command = [str(python), "-m", "pytest", "-x", "-q", "--tb=no", *shlex.split(words)]
            done = subprocess.run(
                [*command, "-p", "no:cacheprovider"],
                cwd=root,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
            )
            failed = [*lines_of(done.stdout, "FAILED"), *lines_of(done.stdout, "ERROR")]
            if done.returncode == TESTS_FAILED and failed:
                return failed[0]
            if done.returncode not in (0, TESTS_FAILED):
                raise RuntimeError(f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}")
    return None


def copy_of(tree: Path, root: Path) -> Path:
    """The tree without what is not in git: environments, stores, caches."""
    heavy = shutil.ignore_patterns(
        *(".git", ".venv", "__pycache__", ".*_cache", "*.egg-info", "mlflow.db", "mlruns", "build")
    )
    return Path(shutil.copytree(tree, root, ignore=heavy))


def lines_of(output: str, word: str) -> Iterator[str]:
    """What follows a word at the beginning of a line."""
    for line in output.splitlines():
        if line.startswith(f"{word} "):
            yield line.removeprefix(f"{word} ").partition(" - ")[0]


def main(arguments: Sequence[str]) -> int:
    """Plant the faults. Returns 1 if one is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tree", type=Path, help="a checkout of the first edition")
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    options = parser.parse_args(arguments)
    known = faults_in(FAULTS / ("first_edition.toml" if options.tree else "faults.toml"))
    unknown = set(options.names) - {fault.name for fault in known}
    if unknown:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    faults = [fault for fault in known if fault.name in options.names or not options.names]
    missed = 0
    for fault in faults:
        test = failing_test(fault, options.tree or ROOT, options.python)
        missed += test is None
        word, shown = ("caught", test) if test else ("MISSED", fault.promise)
        print(f"{word:8}{fault.name:28}{shown}", flush=True)
    print(f"{len(faults) - missed} of {len(faults)} caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
