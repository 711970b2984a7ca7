"""The servers that the demonstration and the tests start."""
