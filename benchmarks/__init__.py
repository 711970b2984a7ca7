"""Measures the bridge beside the raw change stream, and prints a table with ratios."""
