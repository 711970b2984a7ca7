"""The servers of the demo."""
