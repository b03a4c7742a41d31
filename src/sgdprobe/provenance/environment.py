"""Environment of a computation: processor, libraries, and the kernels in use."""

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

# The setting `bits`: environment variables that pin the kernels of each level, and the kernels
# that are in use where the variables take effect: OpenBLAS's, and NumPy's SIMD levels.
VARIABLES = {
    "avx2": {
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    }
}
EXPECTED_KERNELS = {"avx2": ("Haswell", ["X86_V3"])}
KERNEL_LEVELS = ("native", *VARIABLES)


def pin_cpu_kernels(level: str) -> None:
    """Continue with the kernels of this level, in this process or by re-executing the command.

    Call it before anything is written or printed. Raises UserError where this machine lacks them.
    """
    variables = VARIABLES.get(level)
    if variables is None:
        return
    if any(os.environ.get(name) != value for name, value in variables.items()):
        os.environ.update(variables)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
    check_cpu_kernels(level)


def check_cpu_kernels(level: str) -> None:
    """Raise UserError if this process does not compute with the kernels of this level."""
    described = Environment().describe()
    found = described["blas"]["kernel"], described["simd"]
    if found != EXPECTED_KERNELS.get(level, found):
        raise UserError(
            f"bits must be native on this machine; got {level}, which needs the kernels of "
            f"OpenBLAS and NumPy {_format(EXPECTED_KERNELS[level])}; in use are {_format(found)}"
        )


def _format(kernel_and_simd: tuple[str, list[str]]) -> str:
    kernel, simd = kernel_and_simd
    return f"{kernel} and {' '.join(simd) or 'none'}"


class Environment:
    """The libraries of this process; make it once, since the search takes milliseconds."""

    def __init__(self) -> None:
        self._pools = ThreadpoolController()

    def single_threaded_blas(self) -> Any:
        """Return a context in which BLAS uses one thread: two threads add in another order."""
        return self._pools.limit(limits=1, user_api="blas")

    def describe(self) -> dict[str, Any]:
        """Return all that can change the last bits of a number, as it is now."""
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
        """Describe NumPy's own BLAS; another package may have loaded a second one."""
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
    """Return the processor's model; on Linux, platform.processor() knows its architecture only."""
    try:
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.check_output(command, text=True).strip()  # noqa: S603
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, subprocess.SubprocessError, StopIteration):
        return platform.processor() or platform.machine()
