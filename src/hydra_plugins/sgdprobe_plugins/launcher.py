"""Hydra's hooks for `-m`: a sweeper that lists the jobs and a launcher that runs them.

Hydra executes this module in every Hydra program of the environment: so sgdprobe is imported
inside the methods only, which run in our program alone.
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
    """List every combination of the values, as Hydra's BasicSweeper does.

    BasicSweeper composes each job twice, to check and to run it, and saves a file in a folder of
    its own. Here the launcher composes each job once.
    """

    def __init__(self, params: dict[str, Any] | None) -> None:
        super().__init__()
        self.params = params or {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Make the launcher. Called by Hydra."""
        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Launch all combinations of the recipe's axes and of the arguments, which replace them."""
        from sgdprobe.config.arguments import exact_range
        from sgdprobe.errors import SettingsError

        if self.launcher is None or self.hydra_context is None:
            raise RuntimeError("setup() comes first")
        words = [f"{key}={value}" for key, value in self.params.items()] + arguments
        words = [exact_range(word) for word in words]
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides(words), None)
        if not jobs:
            raise SettingsError(f"{' '.join(words)}: no values, so there is nothing to run")
        return self.launcher.launch(jobs, initial_job_idx=0)


class SgdprobeLauncher(Launcher):
    """Compose and check every job, then run them all as one sweep."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what launch() needs. Called by Hydra."""
        self.config = config
        self.hydra_context = hydra_context

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run all jobs and exit with the sweep's exit code."""
        from sgdprobe.config.compose import Composer
        from sgdprobe.sweep.plan import Plan

        hydra = self.config.hydra
        composer = Composer(
            self.hydra_context.config_loader, hydra.job.config_name, hydra.overrides.hydra
        )
        jobs = [composer.compose(overrides)[:2] for overrides in job_overrides]
        plan = Plan.of(jobs, [word.partition("=")[0] for word in job_overrides[0]])
        from sgdprobe.commands.sweep import run_sweep  # imports joblib: after the checks

        raise SystemExit(run_sweep(plan, composer.recipes))


@dataclass
class SweeperConfig:
    """hydra.sweeper: the axes of a recipe, KEY: "value,value,…"."""

    _target_: str = f"{SgdprobeSweeper.__module__}.SgdprobeSweeper"
    params: dict[str, str] | None = None


@dataclass
class LauncherConfig:
    """hydra.launcher: no settings of its own; see the group `sweep`."""

    _target_: str = f"{SgdprobeLauncher.__module__}.SgdprobeLauncher"


for group, node in (("sweeper", SweeperConfig), ("launcher", LauncherConfig)):
    ConfigStore.instance().store(
        group=f"hydra/{group}", name="sgdprobe", node=node, provider="sgdprobe"
    )
