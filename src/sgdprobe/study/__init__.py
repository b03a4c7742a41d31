"""Explain a gap: the part of each difference between two recipes, by a full factorial."""
