"""Fetches the jars of Apache Kafka with Maven."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path

VERSION = "4.2.0"
POM = Path(__file__).with_name("pom.xml")
CACHE = Path(__file__).parents[3] / ".cache" / f"kafka-{VERSION}"


def libraries() -> Path:
    """The folder with the broker's jars; fetched once, by one process at a time."""
    CACHE.parent.mkdir(exist_ok=True)
    with (CACHE.parent / f"{CACHE.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not CACHE.is_dir():
            _fetch()
    return CACHE


def _fetch() -> None:
    fetched = Path(tempfile.mkdtemp(prefix=f"{CACHE.name}-", dir=CACHE.parent))
    goal = [
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={fetched}",
    ]
    try:
        subprocess.run(["mvn", "-q", "-B", "-f", str(POM), *goal], check=True)
        fetched.rename(CACHE)
    finally:
        shutil.rmtree(fetched, ignore_errors=True)
