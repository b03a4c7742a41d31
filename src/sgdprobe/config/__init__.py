"""Configuration: settings, their validation, and Hydra, which composes them."""
