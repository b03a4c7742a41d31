"""Diagnosis: what is wrong with one recipe, and the smallest change that is proven to repair it."""
