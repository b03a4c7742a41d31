"""Train: one run, or with -m a sweep.

python src/train.py notes
python src/train.py -m sweep
"""

import os
import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from sgdprobe.commands.cli import exit_on_user_error, interruptible
from sgdprobe.config.arguments import check_words, complete, expand, recipes
from sgdprobe.config.compose import COMPOSE_ERRORS, list_groups_without_copies, plain, recipe_of
from sgdprobe.config.settings import Settings


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def main(config: DictConfig) -> None:
    """One run of the composed settings."""
    from sgdprobe.commands.train import train_command

    with exit_on_user_error(*COMPOSE_ERRORS):  # Hydra would add a line of its own
        settings = Settings.from_dict(plain(config))
        composed = HydraConfig.get()
        overridden = [word.partition("=")[0].lstrip("+") for word in composed.overrides.task]
        raise SystemExit(train_command(settings, recipe_of(composed), overridden))


if __name__ == "__main__":
    # Hydra then raises what it would print in its own way.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    with exit_on_user_error(*COMPOSE_ERRORS), interruptible():
        if "COMP_LINE" in os.environ:
            print(*complete(os.environ, recipes()))
        sys.argv[1:] = expand(sys.argv[1:], recipes())
        check_words(sys.argv[1:])
        list_groups_without_copies()
        main()
