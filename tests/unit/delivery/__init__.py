"""Tests of ``bridge.delivery``."""
