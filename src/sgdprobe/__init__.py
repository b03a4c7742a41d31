"""sgdprobe: find out which difference causes which part of an accuracy gap."""

__version__ = "0.5.0"
