"""The demo: real servers from packages, a simulated job service, and a bridge."""
