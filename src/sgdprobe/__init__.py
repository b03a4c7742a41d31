"""sgdprobe: which difference made which part of an accuracy gap."""
