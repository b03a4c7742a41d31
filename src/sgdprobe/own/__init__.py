"""A user's own network class, which is checked, and own training loop, which is recorded."""
