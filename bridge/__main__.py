"""Lets ``python -m bridge`` do what ``job-bridge`` does."""

from bridge.cli import main

main()
