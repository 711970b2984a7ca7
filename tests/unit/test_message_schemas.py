"""The schemas of messages and dead letters, and the AsyncAPI document."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic_asyncapi.v3 import AsyncAPI

from bridge.model.message import MessageFormat
from bridge.model.transition import NOTIFY, RETRY, STREAM, Poison, Transition
from bridge.mongo.elements import transitions_of
from docs import message_schemas
from docs.references import FOLDER
from tests.support.schemas import problems, record_problems, schema

FORMAT = MessageFormat("job-transitions", "job-bridge/cts.jobs", cloudevents=True)
NAMES = ("message", "headers", "dead-letter")
GOOD: dict[str, Any] = schema("message")["examples"][0]

origins = st.sampled_from([STREAM, NOTIFY, RETRY])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=600)
identities = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
sequences = st.none() | st.integers(0, 10**18 - 1)
#: The time of a transition with and without a fraction.
times = st.sampled_from(["2026-03-02T20:31:02.511000+00:00", "2026-03-02T20:31:02+00:00"])


@pytest.mark.parametrize("name", message_schemas.SCHEMAS)
def test_schema_files_equal_the_code(name: str) -> None:
    """Otherwise run 'make docs'."""
    assert (FOLDER / name).read_text() == message_schemas.SCHEMAS[name]()


@pytest.mark.parametrize("name", NAMES)
def test_schemas_are_valid_and_match_their_examples(name: str) -> None:
    document = schema(name)
    Draft202012Validator.check_schema(document)

    assert [problems(name, example) for example in document["examples"]] == [[]]


@given(st.builds(Transition, identities, texts, times, identities, sequences), origins)
def test_every_message_matches(transition: Transition, origin: bytes) -> None:
    assert record_problems("message", FORMAT.message(transition, origin)) == []


def test_a_message_of_the_latest_date_matches() -> None:
    """A job may contain a date of the year 9999, as a placeholder; two may share it."""
    element = {"s": "complete", "d": datetime(9999, 12, 31, 23, 59, 59, 999_000), "i": "t-0"}
    items = transitions_of("job", [element, element], "key")
    messages = [FORMAT.message(item, STREAM) for item in items if isinstance(item, Transition)]

    numbers = [dict(message.headers)["ce_sequence"] for message in messages]
    assert numbers == [b"253402300799999000", b"253402300799999001"]
    assert [record_problems("message", message) for message in messages] == [[], []]


@given(st.builds(Poison, texts, texts, texts, texts, texts, sequences), st.floats(0, 4e9))
def test_every_dead_letter_matches(poison: Poison, now: float) -> None:
    assert record_problems("dead-letter", FORMAT.dead_letter(poison, STREAM, now)) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"job_id": ""},
        {"job_id": 5},
        {"state": None},
        {"time": "2026-03-02T20:31:02.511Z"},
        {"time": "2026-03-02"},
        {"trans_id": ""},
        {"error_dlq": "why"},
    ],
    ids=str,
)
def test_a_changed_message_does_not_match(changed: dict[str, Any]) -> None:
    assert problems("message", GOOD | changed) != []


@pytest.mark.parametrize("name", NAMES)
def test_every_required_field_is_required(name: str) -> None:
    (example,) = schema(name)["examples"]
    for field in schema(name)["required"]:
        assert problems(name, {key: example[key] for key in example if key != field}) != []


def test_the_page_names_the_headers_that_differ() -> None:
    """Those that a dead letter lacks, or has with another value."""
    transition = Transition("j", "complete", "2026-03-02T20:31:02+00:00", "t", 1)
    poison = Poison("no date", transition.job_id, trans_id=transition.trans_id, sequence=1)
    letter = dict(FORMAT.dead_letter(poison, STREAM, 0).headers)
    section = (FOLDER / "messages.md").read_text().partition("## Dead letters\n")[2]

    message = FORMAT.message(transition, STREAM, committed=1.0).headers
    differ = {name for name, value in message if letter.get(name) != value}
    assert differ == {name for name in re.findall(r"`(ce_\w+)`", section) if name != "ce_id"}


def test_asyncapi_describes_both_topics() -> None:
    document = json.loads((FOLDER / "asyncapi.json").read_text())
    for message in document["components"]["messages"].values():
        del message["bindings"]  # the model lacks Kafka's bindings of messages
    model = AsyncAPI.model_validate(document)

    assert json.loads(model.model_dump_json(by_alias=True, exclude_unset=True)) == document
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == {"job-transitions", "job-transitions-dlq"}


def test_asyncapi_references_lead_somewhere() -> None:
    document = json.loads((FOLDER / "asyncapi.json").read_text())

    references = list(_references(document))
    assert references
    for reference in references:
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_asyncapi_embeds_the_schemas() -> None:
    schemas = json.loads((FOLDER / "asyncapi.json").read_text())["components"]["schemas"]

    embedded = {"transition": "message", "deadLetter": "dead-letter", "headers": "headers"}
    for name, file in embedded.items():
        assert {"$schema": schema(file)["$schema"], **schemas[name]} == schema(file)


def _references(node: Any) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _references(child)
