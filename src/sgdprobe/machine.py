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


class Machine:
    """The libraries loaded in this process; looking for them takes milliseconds, so do it once."""

    def __init__(self) -> None:
        self._pools = ThreadpoolController()

    def one_thread(self) -> Any:
        """A context in which BLAS uses one thread: two add in another order."""
        return self._pools.limit(limits=1, user_api="blas")

    def facts(self) -> dict[str, Any]:
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
