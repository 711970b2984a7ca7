"""The simulated job service of the demonstration."""
