"""Tests: sink."""
