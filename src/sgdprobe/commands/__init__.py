"""The commands: each talks to a person and returns an exit code."""
