"""Which instructions compute a run: all that the processor has, or those that many have.

The matrix products and exponentials of an AVX-512 processor round in another order than those of
an AVX2 processor. OpenBLAS and NumPy choose when they are loaded, by these variables: whoever
wants another choice starts anew.
"""

import os
import sys

from sgdprobe.refusal import Refusal

# The variables of each level, and what is in use where they are heeded.
VARIABLES = {
    "avx2": {
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    }
}
IN_USE = {"avx2": ("Haswell", ["X86_V3"])}

LEVELS = ("native", *VARIABLES)


def pin(level: str) -> None:
    """Go on in a process where this level is in use: this one, or else this one started anew.

    Call it before anything is written or said. Raises Refusal where the level can't be had.
    """
    variables = VARIABLES.get(level)
    if variables is None:
        return
    if any(os.environ.get(name) != value for name, value in variables.items()):
        os.environ.update(variables)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
    from sgdprobe.machine import Machine

    facts = Machine().facts()
    found = facts["blas"]["kernel"], facts["simd"]
    if found != IN_USE[level]:
        raise Refusal(
            f"bits must be native on this machine; got {level}, which is OpenBLAS's kernel and "
            f"NumPy's SIMD level {_said(IN_USE[level])}, but in use are {_said(found)}"
        )


def _said(kernel_and_simd: tuple[str, list[str]]) -> str:
    kernel, simd = kernel_and_simd
    return f"{kernel} and {' '.join(simd) or 'none'}"
