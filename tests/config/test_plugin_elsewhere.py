"""The installed package beside another Hydra program: the program runs as if alone.

Hydra executes the modules of the namespace `hydra_plugins` in every Hydra program.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

PROGRAM = """
import hydra
from omegaconf import DictConfig

@hydra.main(version_base="1.3", config_path={conf!r}, config_name={name!r})
def main(config: DictConfig) -> None:
    from hydra.core.plugins import Plugins
    from hydra.plugins.sweeper import Sweeper
    print(sorted(plugin.__name__ for plugin in Plugins.instance().discover(Sweeper)))
    print(config)

main()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed wheel, which is built from a copy: it leaves a build/."""
    folder = tmp_path_factory.mktemp("wheel")
    copy, site = folder / "project", folder / "site"
    tracked = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "src", "pyproject.toml", "README.md", "LICENSE"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in tracked.split("\0"):
        if name and not name.endswith("-ubyte.gz"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    build = ["wheel", *offline, "--no-build-isolation", "--wheel-dir", str(folder), str(copy)]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", *offline, "--target", str(site), str(wheel)], check=True)
    assert (site / "hydra_plugins" / "sgdprobe_plugins" / "launcher.py").is_file()
    return site


@pytest.mark.parametrize("has_conf", [False, True], ids=["without conf", "with a conf"])
def test_another_hydra_program_runs_as_if_alone(site: Path, tmp_path: Path, has_conf: bool) -> None:
    if has_conf:
        (tmp_path / "conf").mkdir()
        (tmp_path / "conf" / "theirs.yaml").write_text("port: 80\n")
    conf, name = ("conf", "theirs") if has_conf else (None, None)
    (tmp_path / "program.py").write_text(PROGRAM.format(conf=conf, name=name))
    answer = subprocess.run(
        [sys.executable, "-W", "always", "program.py", "+host=here"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    plugins, config = answer.stdout.splitlines()
    assert "SgdprobeSweeper" in plugins, "the plugin was not found: this test looks elsewhere"
    assert config == ("{'port': 80, 'host': 'here'}" if has_conf else "{'host': 'here'}")
