"""Reads the rights that the files beside the example settings grant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from kafka.admin import ACLOperation

from tests.support.command import ROOT
from tests.support.job_writer import Document

ROLES = (ROOT / "config" / "mongodb-role.js").read_text()
ACLS = (ROOT / "config" / "kafka-acls.sh").read_text()
TOPIC = "granted"


def roles() -> dict[str, Document]:
    """The roles of the script, which are written as JSON."""
    documents = [
        json.loads(text) for text in re.findall(r"createRole\((\{.*?\n\})\);", ROLES, re.DOTALL)
    ]
    return {role["role"]: role for role in documents}


def grants() -> Iterator[tuple[str, list[ACLOperation]]]:
    """Topic and operations of each line of the script, ``$TOPIC`` still unreplaced."""
    for line in re.findall(r"^allow (.*)$", ACLS, re.MULTILINE):
        names = [
            re.sub(r"(?<!^)(?=[A-Z])", "_", operation).upper()
            for operation in re.findall(r"--operation (\w+)", line)
        ]
        topic = re.search(r'--topic "(\S+)"', line)
        assert topic
        yield topic[1], [ACLOperation[name] for name in names]


def without(privileges: list[Document], action: str) -> list[Document]:
    """The same privileges but for one action."""
    return [
        {**privilege, "actions": [allowed for allowed in privilege["actions"] if allowed != action]}
        for privilege in privileges
    ]
