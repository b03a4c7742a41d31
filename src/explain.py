"""Explain a gap: which difference between two recipes makes which part of it.

python src/explain.py notes book --fix dtype=float32
"""

import sys

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from hydra_plugins.sgdprobe_plugins.ends import ends
from sgdprobe.commandline import interruptible, refusals
from sgdprobe.explain.request import read

if __name__ == "__main__":
    with refusals(HydraException, OmegaConfBaseException), interruptible():
        request = read(sys.argv[1:])
        (first, second), *tried = ends([request, *request.at_each_value()])
        from sgdprobe.explain.study import explain

        raise SystemExit(explain(request, first, second, tried))
