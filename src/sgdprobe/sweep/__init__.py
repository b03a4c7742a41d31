"""Many runs: planning them, resuming, and joblib's workers."""
