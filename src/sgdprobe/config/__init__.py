"""What to run: the settings, their checks, and Hydra, which composes them."""
