"""What Hydra calls for `-m`: a sweeper that lists the jobs and a launcher that runs them.

Both are thin: which jobs there are is Hydra's grammar, how they are run is sgdprobe.sweep's.

Hydra executes this module in every Hydra program of the environment, so nothing of sgdprobe is
imported at module level.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SgdprobeSweeper(Sweeper):
    """Every combination of the values, as BasicSweeper, but composed once and nothing written.

    Hydra's own composes each job to check it and once more to run it, and saves a file in a
    folder of its own; here the launcher's single composition is the check.
    """

    def __init__(self, params: dict[str, Any] | None) -> None:
        super().__init__()
        self.params = params or {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Called by Hydra."""
        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Launch all combinations of the recipe's axes and the arguments, which replace them."""
        from sgdprobe.errors import SettingsError

        if self.launcher is None or self.hydra_context is None:
            raise RuntimeError("setup() comes first")
        words = [f"{key}={value}" for key, value in self.params.items()] + arguments
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides(words), None)
        if not jobs:
            raise SettingsError(f"{' '.join(words)}: no values, so there is nothing to run")
        return self.launcher.launch(jobs, initial_job_idx=0)


class SgdprobeLauncher(Launcher):
    """Composes and checks every job, then hands them over."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Called by Hydra."""
        self.config = config
        self.hydra_context = hydra_context

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run all jobs and leave with the sweep's exit code."""
        from sgdprobe.config.compose import Composer
        from sgdprobe.sweep.plan import Plan

        hydra = self.config.hydra
        composer = Composer(
            self.hydra_context.config_loader, hydra.job.config_name, hydra.overrides.hydra
        )
        cells = [composer.job(overrides) for overrides in job_overrides]
        axes = [word.partition("=")[0] for word in job_overrides[0]]
        plan = Plan.of(cells, axes)
        from sgdprobe.commands.sweep import run_sweep  # what is refused need not wait for joblib

        raise SystemExit(run_sweep(plan, composer.recipes))


@dataclass
class SweeperConfig:
    """hydra.sweeper: the axes, KEY: "value,value,…"."""

    _target_: str = f"{SgdprobeSweeper.__module__}.SgdprobeSweeper"
    params: dict[str, str] | None = None


@dataclass
class LauncherConfig:
    """hydra.launcher: none of its own; see the `sweep` settings."""

    _target_: str = f"{SgdprobeLauncher.__module__}.SgdprobeLauncher"


for group, node in (("sweeper", SweeperConfig), ("launcher", LauncherConfig)):
    ConfigStore.instance().store(
        group=f"hydra/{group}", name="sgdprobe", node=node, provider="sgdprobe"
    )
