"""Images and labels on disk and in memory."""

from sgdprobe.data.dataset import Dataset, load
from sgdprobe.data.idx import DataError
from sgdprobe.data.layout import Layout, Layouts, laid_out

__all__ = ["DataError", "Dataset", "Layout", "Layouts", "laid_out", "load"]
