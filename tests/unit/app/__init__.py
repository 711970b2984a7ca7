"""Tests of ``bridge.app``."""
