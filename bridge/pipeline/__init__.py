"""The loop and its parts; knows protocols, not drivers."""
