"""Provenance: with what a number was computed, and the comparison of two records."""
