"""The bridge as a process, on real servers."""
