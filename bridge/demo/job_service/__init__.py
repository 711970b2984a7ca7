"""The simulated job service of the demo."""
