"""Tests of what the demonstration is made of."""
