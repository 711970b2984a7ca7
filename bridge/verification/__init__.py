"""Verification: compares the jobs' history with the topic."""
