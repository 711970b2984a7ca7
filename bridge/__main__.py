"""Makes ``python -m bridge`` the same as the command ``job-bridge``."""

from bridge.cli import main

main()
