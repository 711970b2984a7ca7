"""Tests of ``bridge.verification``."""
