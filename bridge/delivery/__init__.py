"""The delivery modes, one file a mode."""
