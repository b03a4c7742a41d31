"""Who takes part? A row for each contestant; its module is imported in its own process only."""

import importlib
from dataclasses import dataclass

from problem import SIZES, Contestant, Problem

ALL, LIT = SIZES[0], 719  # pixels of an image, and those that are not 0 in every image


@dataclass(frozen=True)
class Entry:
    """A contestant: what tables call it, where it is ("module:class"), what pip installs for it."""

    label: str
    place: str
    needs: str = "numpy"
    pixels: int = ALL

    def enter(self, problem: Problem) -> Contestant:
        """The contestant, ready for this problem. Raises ImportError if it is not installed."""
        module, _, name = self.place.partition(":")
        contestant: Contestant = getattr(importlib.import_module(module), name)(
            problem.trimmed if self.pixels == LIT else problem
        )
        return contestant


OURS, FLOOR = "contestants.ours:Ours", "contestants.floor:Floor"
EAGER, JAX = "contestants.pytorch_eager:PytorchEager", "contestants.jax_scan:JaxScan"
COMPILED = "contestants.pytorch_compiled:PytorchCompiled"

# Peers get the images as everyone knows them. JAX and PyTorch enter a second time on the pixels
# that a run of sgdprobe keeps: the comparison at equal work.
CONTESTANTS = {
    "ours": Entry("sgdprobe", OURS, pixels=LIT),
    "floor": Entry("its matrix products alone", FLOOR, pixels=LIT),
    "ours_784": Entry("sgdprobe", OURS),
    "floor_784": Entry("its matrix products alone", FLOOR),
    "book_loop": Entry("NumPy as in the book", "contestants.book_loop:BookLoop"),
    "sklearn_mlp": Entry(
        "scikit-learn MLPClassifier", "contestants.sklearn_mlp:SklearnMlp", "scikit-learn"
    ),
    "pytorch_eager": Entry("PyTorch, eager", EAGER, "torch"),
    "pytorch_eager_719": Entry("PyTorch, eager", EAGER, "torch", LIT),
    "pytorch_compiled": Entry("PyTorch, torch.compile", COMPILED, "torch"),
    "pytorch_compiled_719": Entry("PyTorch, torch.compile", COMPILED, "torch", LIT),
    "jax_scan": Entry("JAX, jit and scan", JAX, "jax"),
    "jax_scan_719": Entry("JAX, jit and scan", JAX, "jax", LIT),
}

# A floor is timed in the process of what it is the floor of; everyone else is alone.
PROCESSES = (
    ("ours", "floor"),
    ("ours_784", "floor_784"),
    *((name,) for name, entry in CONTESTANTS.items() if entry.place not in (OURS, FLOOR)),
)
