"""Measures the bridge beside the raw change stream and other connectors."""
