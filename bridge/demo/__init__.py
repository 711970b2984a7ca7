"""Everything a demonstration or a test needs: real servers run from packages, and a job service to watch."""
