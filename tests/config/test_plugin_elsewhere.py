"""The installed package beside another Hydra program: the program runs as if alone.

Hydra executes the modules of the namespace `hydra_plugins` in every Hydra program.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("has_conf", [False, True], ids=["without conf", "with a conf"])
def test_another_hydra_program_runs_as_if_alone(
    installed: Path, tmp_path: Path, has_conf: bool
) -> None:
    if has_conf:
        (tmp_path / "conf").mkdir()
        (tmp_path / "conf" / "theirs.yaml").write_text("port: 80\n")
    conf, name = ("conf", "theirs") if has_conf else (None, None)
    (tmp_path / "program.py").write_text(PROGRAM.format(conf=conf, name=name))
    answer = subprocess.run(
        [sys.executable, "-W", "always", "program.py", "+host=here"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    plugins, config = answer.stdout.splitlines()
    assert "SgdprobeSweeper" in plugins, "the plugin was not found: this test looks elsewhere"
    assert config == ("{'port': 80, 'host': 'here'}" if has_conf else "{'host': 'here'}")
