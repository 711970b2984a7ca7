"""Reads the rights that the files beside the example settings grant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from kafka.admin import ACLOperation, ResourceType

from tests.support.command import ROOT
from tests.support.job_writer import Document

ROLES = (ROOT / "config" / "mongodb-role.js").read_text()
ACLS = (ROOT / "config" / "kafka-acls.sh").read_text()
TOPIC = "granted"
KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}


def roles() -> dict[str, Document]:
    """The roles of the script, which are written as JSON."""
    documents = [
        json.loads(text) for text in re.findall(r"createRole\((\{.*?\n\})\);", ROLES, re.DOTALL)
    ]
    return {role["role"]: role for role in documents}


def grants() -> Iterator[tuple[str, list[ACLOperation]]]:
    """Topic and operations of each line of the script, ``$TOPIC`` still unreplaced.

    Without the lines for ``checkpoint.store = kafka``.
    """
    for kind, name, operations in _lines():
        if kind == ResourceType.TOPIC and not name.endswith("-bridge-state"):
            yield name, operations


def state_grants(topic: str, name: str) -> list[tuple[ResourceType, str, list[ACLOperation]]]:
    """The lines for ``checkpoint.store = kafka``: kind and name of the resource, operations."""
    return [
        (kind, resource.replace("$TOPIC", topic).replace("$NAME", name), operations)
        for kind, resource, operations in _lines()
        if kind != ResourceType.TOPIC or resource.endswith("-bridge-state")
    ]


def _lines() -> Iterator[tuple[ResourceType, str, list[ACLOperation]]]:
    for line in re.findall(r"^allow (.*)$", ACLS, re.MULTILINE):
        names = [
            re.sub(r"(?<!^)(?=[A-Z])", "_", operation).upper()
            for operation in re.findall(r"--operation (\w+)", line)
        ]
        resource = re.search(r'--(topic|group|transactional-id) "(\S+)"', line)
        assert resource
        yield KINDS[resource[1]], resource[2], [ACLOperation[name] for name in names]


def without(privileges: list[Document], action: str) -> list[Document]:
    """The same privileges but for one action."""
    return [
        {**privilege, "actions": [allowed for allowed in privilege["actions"] if allowed != action]}
        for privilege in privileges
    ]
