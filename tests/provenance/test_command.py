"""Provenance of a command: the commit and the uncommitted changes, of this project's own files."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support import git

from sgdprobe.provenance import command
from sgdprobe.provenance.command import Checkout
from sgdprobe.provenance.git import git as ask_git

Look = Callable[..., Checkout]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a program of two files."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/train.py").write_text("print(1)\n")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/config.yaml").write_text("seed: 0\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "Add the program")
    return tmp_path


@pytest.fixture
def look(root: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Look at the program in `root`, or below it if a test moves there."""

    defaults = ask_git.__kwdefaults__ or {}

    def checkout(folder: Path = root) -> Checkout:
        monkeypatch.setattr(command, "PROJECT_ROOT", folder)
        monkeypatch.setattr(ask_git, "__kwdefaults__", {**defaults, "at": folder})
        return command.checkout.__wrapped__()

    return checkout


def applied(root: Path, diff: str, folder: Path) -> Path:
    """A new worktree with the diff, as `rerun.py --at-recorded-commit` makes it."""
    git(root, "worktree", "add", "-q", "--detach", str(folder))
    ask_git("apply", "-", at=folder, text=diff)
    return folder


def test_what_is_committed_is_clean_whatever_lies_beside_the_program(
    root: Path, look: Look
) -> None:
    (root / "experiments").mkdir()
    (root / "experiments/README.md").write_text("a study that explain.py has written\n")
    (root / "notes.txt").write_text("a key: 1234\n")
    assert look() == Checkout(git(root, "rev-parse", "HEAD").strip(), "false")


def test_the_diff_turns_the_commit_into_the_program(root: Path, look: Look, tmp_path: Path) -> None:
    (root / "src/train.py").write_text("print(2)\n")
    (root / "src/with space [x].py").write_text("print('ä')\n")
    (root / "conf/config.yaml").unlink()
    found = look()
    assert (found.dirty, found.note) == ("true", "")
    assert git(root, "diff", "--cached") == "", "git's index is as it was"
    copy = applied(root, found.diff, tmp_path / "copy")
    assert (copy / "src/train.py").read_text() == "print(2)\n"
    assert (copy / "src/with space [x].py").read_text() == "print('ä')\n"
    assert not (copy / "conf/config.yaml").exists()


def test_what_is_no_text_or_too_large_is_left_out_with_a_word(
    root: Path, look: Look, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (root / "src/train.py").write_text("print(2)\n")
    (root / "src/images.gz").write_bytes(b"\x1f\x8b\x00\xff" * 100)
    (root / "src/zeros.txt").write_bytes(bytes(100))
    with (root / "src/huge.csv").open("wb") as file:
        file.truncate(2**31)  # it takes no room on the disk, and is not read
    for number in range(12):
        (root / f"src/table{number:02}.csv").write_text("0.1234567\n" * 10_000)
    found = look()
    left_out = "zeros.txt", "table10.csv", "table11.csv", "huge.csv", "images.gz"
    assert found.note == "no text, or too large: " + ", ".join(f"src/{name}" for name in left_out)
    assert capsys.readouterr().err == f"not all uncommitted changes are recorded: {found.note}\n"
    assert len(found.diff) < 1.3 * 2**20
    assert (applied(root, found.diff, tmp_path / "copy") / "src/table09.csv").exists()


def test_the_repository_of_a_variable_is_not_asked(
    root: Path, look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    git(other, "commit", "-q", "--allow-empty", "-m", "Other")
    for name, value in {"DIR": ".git", "WORK_TREE": ".", "INDEX_FILE": ".git/index"}.items():
        monkeypatch.setenv(f"GIT_{name}", str(other / value))
    found = look()
    monkeypatch.undo()
    assert found.commit == git(root, "rev-parse", "HEAD").strip()


def test_a_repository_around_the_program_is_not_its_own(root: Path, look: Look) -> None:
    (root / ".git/info/exclude").write_text("unpacked\n")
    inside = root / "unpacked"
    shutil.copytree(root / "src", inside / "src")
    found = look(inside)
    assert found == Checkout(note="the git repository around it does not have src/train.py"), (
        "its commit is another program's"
    )


def test_no_repository_and_no_answer_are_two_things(
    root: Path, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "GIT_TIMEOUT_S", 0)
    assert look() == Checkout(note="git ls-files did not answer within 0 s")
    monkeypatch.setattr(command, "GIT_TIMEOUT_S", 10)
    shutil.rmtree(root / ".git")
    found = look()
    assert (found.commit, found.dirty) == (None, "unknown")
    assert "not a git repository" in found.note
