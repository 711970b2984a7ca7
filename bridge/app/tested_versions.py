"""The versions of MongoDB and Kafka on which the complete test suite ran."""

from collections.abc import Sequence

#: ``make test MONGOD=... KAFKA=...`` runs on each; the first is the default.
MONGODB = ("6.0.5", "6.0.27")
KAFKA = ("4.2.0", "4.3.0")


def with_note(version: str, tested: Sequence[str]) -> str:
    """Return ``version``, followed by a note if it is not tested.

    ``version`` may lack its last numbers: 4.2 counts as tested if 4.2.0 is.
    """
    if any(f"{known}.".startswith(f"{version}.") for known in tested):
        return f"version {version}"
    return f"version {version}, which is not tested (tested: {' and '.join(tested)})"
