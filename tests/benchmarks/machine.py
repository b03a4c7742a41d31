"""What are the numbers measured on? One core, one thread, and a description that goes with them."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]

# To be set before NumPy, PyTorch or JAX is imported: one thread in each of them.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}

PACKAGES = ("numpy", "scikit-learn", "torch", "jax", "joblib", "mlflow", "hydra-joblib-launcher")


def pin_cpu_kernels(core: int | None) -> None:
    """Keep this process, and its children, on one core; None, or no Linux: leave it."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def last_core() -> int | None:
    """The last core that this process may use; the first often serves interrupts too."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def description() -> dict[str, str]:
    """Processor, system, versions and the commit: what a number means nothing without."""
    found = {
        "processor": _processor(),
        "cores": str(psutil.cpu_count()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": _commit(),
    }
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _processor() -> str:
    """The processor's name; on Linux platform.processor() does not say it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
