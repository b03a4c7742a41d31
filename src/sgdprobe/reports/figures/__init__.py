"""Figures of a run, a sweep and a study, in matplotlib's object form: nothing global, no window."""
