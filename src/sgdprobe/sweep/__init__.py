"""Many runs: what to run, running it, and showing how it goes."""
