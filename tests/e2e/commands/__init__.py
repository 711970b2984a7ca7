"""Tests: the commands as people meet them, and everything they may be given wrong."""
