"""The commands: each prints for a person and returns an exit code."""
