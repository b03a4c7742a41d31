"""Who takes part? A row for each contestant; its module is imported in its own process only."""

import importlib
from dataclasses import dataclass

from problem import Contestant, Problem


@dataclass(frozen=True)
class Entry:
    """A contestant: what tables call it, where it is ("module:class"), what pip installs for it."""

    label: str
    place: str
    needs: str = "numpy"

    def enter(self, problem: Problem) -> Contestant:
        """The contestant, ready for this problem. Raises ImportError if it is not installed."""
        module, _, name = self.place.partition(":")
        contestant: Contestant = getattr(importlib.import_module(module), name)(problem)
        return contestant


# sgdprobe leaves out of each batch the pixels that are 0 in all its images; a second entry doesn't,
# and does what its peers do.
CONTESTANTS = {
    "ours": Entry("sgdprobe", "contestants.ours:Ours"),
    "ours_all": Entry("sgdprobe, no pixel left out", "contestants.ours:OursOnAllPixels"),
    "floor": Entry("matrix products of all pixels", "contestants.floor:Floor"),
    "book_loop": Entry("NumPy as in the book", "contestants.book_loop:BookLoop"),
    "sklearn_mlp": Entry(
        "scikit-learn MLPClassifier", "contestants.sklearn_mlp:SklearnMlp", "scikit-learn"
    ),
    "pytorch_eager": Entry("PyTorch, eager", "contestants.pytorch_eager:PytorchEager", "torch"),
    "pytorch_compiled": Entry(
        "PyTorch, torch.compile", "contestants.pytorch_compiled:PytorchCompiled", "torch"
    ),
    "jax_scan": Entry("JAX, jit and scan", "contestants.jax_scan:JaxScan", "jax"),
}

# The products are timed in the process of what they are held against; everyone else is alone.
TOGETHER = ("ours", "floor")
PROCESSES = (TOGETHER, *((name,) for name in CONTESTANTS if name not in TOGETHER))
