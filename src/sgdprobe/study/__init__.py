"""Which difference between two recipes makes which part of the gap between their results."""
