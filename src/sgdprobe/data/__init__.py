"""Images and labels on disk and in memory."""

from sgdprobe.data.dataset import Dataset, load
from sgdprobe.data.idx import DataError

__all__ = ["DataError", "Dataset", "load"]
