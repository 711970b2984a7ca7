"""Measures the bridge beside the raw change stream and beside other connectors; writes docs/benchmarks.md."""
