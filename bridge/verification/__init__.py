"""Compares the jobs' history with the topic."""
