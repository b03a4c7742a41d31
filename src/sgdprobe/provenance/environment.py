"""What computes: processor, libraries, and which of their kernels are in use."""

import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from sgdprobe.errors import UserError


class Environment:
    """The libraries loaded in this process; looking for them takes milliseconds, so do it once."""

    def __init__(self) -> None:
        self._pools = ThreadpoolController()

    def single_threaded_blas(self) -> Any:
        """A context in which BLAS uses one thread: two add in another order."""
        return self._pools.limit(limits=1, user_api="blas")

    def describe(self) -> dict[str, Any]:
        """All that can change the last bits of a number, as it is at this moment."""
        return {
            "blas": self._blas(),
            "simd": np.show_config(mode="dicts")["SIMD Extensions"].get("found", []),
            "numpy": np.__version__,
            "python": platform.python_version(),
            "libc": " ".join(platform.libc_ver()).strip(),
            "processor": processor(),
            "os": f"{platform.system()} {platform.release()} {platform.machine()}",
            "cores": os.cpu_count(),
        }

    def _blas(self) -> dict[str, Any]:
        """NumPy's own BLAS; another package may have loaded one too."""
        pools = [pool for pool in self._pools.info() if pool["user_api"] == "blas"]
        ours = [pool for pool in pools if "numpy" in pool["filepath"]] or pools
        first = ours[0] if ours else {}
        return {
            "name": first.get("internal_api", "unknown"),
            "version": first.get("version"),
            "kernel": first.get("architecture"),
            "threads": first.get("num_threads"),
        }


@cache
def processor() -> str:
    """The processor's model; the standard library knows only its architecture on Linux."""
    try:
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.check_output(command, text=True).strip()  # noqa: S603
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, subprocess.SubprocessError, StopIteration):
        return platform.processor() or platform.machine()


# The variables of each level, and what is in use where they are heeded.
VARIABLES = {
    "avx2": {
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    }
}


EXPECTED_KERNELS = {"avx2": ("Haswell", ["X86_V3"])}


KERNEL_LEVELS = ("native", *VARIABLES)


def pin_cpu_kernels(level: str) -> None:
    """Go on in a process where this level is in use: this one, or else this one started anew.

    Call it before anything is written or said. Raises Refusal where the level can't be had.
    """
    variables = VARIABLES.get(level)
    if variables is None:
        return
    if any(os.environ.get(name) != value for name, value in variables.items()):
        os.environ.update(variables)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
    from sgdprobe.provenance.environment import Environment

    facts = Environment().describe()
    found = facts["blas"]["kernel"], facts["simd"]
    if found != EXPECTED_KERNELS[level]:
        raise UserError(
            f"bits must be native on this machine; got {level}, which is OpenBLAS's kernel and "
            f"NumPy's SIMD level {_said(EXPECTED_KERNELS[level])}, but in use are {_said(found)}"
        )


def _said(kernel_and_simd: tuple[str, list[str]]) -> str:
    kernel, simd = kernel_and_simd
    return f"{kernel} and {' '.join(simd) or 'none'}"
