"""The loop, and what it needs around it; knows protocols, not drivers."""
