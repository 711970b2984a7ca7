"""Tests: model.detection."""
