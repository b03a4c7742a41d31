"""Images and labels: read from disk, checked, sorted for training."""

from sgdprobe.data.dataset import Dataset, load, pixel_mean_and_std
from sgdprobe.data.readers import READERS
from sgdprobe.data.sorting import SortedSplit, SortedSplits, sorted_splits
from sgdprobe.errors import DataError

__all__ = [
    "READERS",
    "DataError",
    "Dataset",
    "SortedSplit",
    "SortedSplits",
    "load",
    "pixel_mean_and_std",
    "sorted_splits",
]
