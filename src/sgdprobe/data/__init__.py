"""Images and labels on disk and in memory."""

from sgdprobe.data.dataset import Dataset, load
from sgdprobe.data.sorting import SortedSplit, SortedSplits, sorted_splits
from sgdprobe.errors import DataError

__all__ = ["DataError", "Dataset", "SortedSplit", "SortedSplits", "load", "sorted_splits"]
