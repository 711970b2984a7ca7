"""Fetches the jars of Apache Kafka with Maven."""

from __future__ import annotations

import hashlib
import subprocess
from functools import partial
from pathlib import Path

from tests.support.servers.cache import FetchError, cached
from tests.support.servers.versions import kafka_version

POM = Path(__file__).with_name("pom.xml")
#: SHA-256 of all jars by version, as :func:`digest` computes it.
DIGESTS = {
    "4.2.0": "e4b913a01593387b08bae217254e7528103048c2f99209b788855badc3abcde2",
    "4.3.0": "36c0981518619edcbbd4d74fc1ad0e0da766c8a3ed848400cd56a021fad0d704",
}


def libraries() -> Path:
    """The folder with the broker's jars; fetched once, by one process at a time.

    Raises:
        FetchError: Maven failed, or the jars are not the expected ones.
    """
    version = kafka_version()
    return cached(f"kafka-{version}", partial(_fetch, version))


def digest(folder: Path) -> str:
    """SHA-256 of the names and contents of all files."""
    total = hashlib.sha256()
    for jar in sorted(folder.iterdir()):
        total.update(f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.name}\n".encode())
    return total.hexdigest()


def _fetch(version: str, folder: Path) -> None:
    goal = [
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-Dkafka.version={version}",
        f"-DoutputDirectory={folder}",
    ]
    done = subprocess.run(
        ["mvn", "--quiet", "--batch-mode", "--strict-checksums", "--file", str(POM), *goal],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise FetchError(f"Maven did not fetch Apache Kafka {version}:\n{done.stdout}")
    if digest(folder) != DIGESTS[version]:
        raise FetchError(f"Maven fetched other jars of Apache Kafka {version} than expected")
