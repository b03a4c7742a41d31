"""Train: one run, or with -m a sweep.

python src/train.py notes
python src/train.py -m sweep
"""

import os
import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from hydra_plugins.sgdprobe_plugins.composition import (
    check_words,
    list_groups_without_copies,
    plain,
    recipe_of,
)
from sgdprobe.commandline import complete, expand, interruptible, recipes, refusals
from sgdprobe.settings import Settings


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def main(config: DictConfig) -> None:
    """One run of the composed settings."""
    from sgdprobe.single import run_single

    with refusals(OmegaConfBaseException):  # Hydra would add a line of its own
        settings = Settings.of(plain(config))
        composed = HydraConfig.get()
        overridden = [word.partition("=")[0].lstrip("+") for word in composed.overrides.task]
        raise SystemExit(run_single(settings, recipe_of(composed), overridden))


if __name__ == "__main__":
    # Hydra then raises what it would print in its own way.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    with refusals(HydraException, OmegaConfBaseException), interruptible():
        if "COMP_LINE" in os.environ:
            print(*complete(os.environ, recipes()))
        sys.argv[1:] = expand(sys.argv[1:], recipes())
        check_words(sys.argv[1:])
        list_groups_without_copies()
        main()
