"""Tests of ``bridge.observability``."""
