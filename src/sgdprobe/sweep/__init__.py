"""Many runs: what to run, running it, and showing how it goes."""

from sgdprobe.sweep.plan import Plan
from sgdprobe.sweep.runner import run_sweep

__all__ = ["Plan", "run_sweep"]
