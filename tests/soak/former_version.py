"""Runs another ``job-bridge``: ``python -m tests.soak.former_version FOLDER run``.

FOLDER contains its packages, and those that it depends on.
"""

from __future__ import annotations

import runpy
import sys


def main(folder: str, *arguments: str) -> None:
    """Run the package in ``folder``; nothing of it may have been imported before."""
    sys.path.insert(0, folder)
    sys.argv = ["job-bridge", *arguments]
    runpy.run_module("bridge", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
