"""Tests: source."""
