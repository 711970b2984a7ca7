"""Describes messages, headers and dead letters as JSON Schema and AsyncAPI, from the code.

The names come from messages that the bridge's own code makes, so a field or header without a
description here fails the build. Only keywords with one meaning in all drafts since 7 are used,
because AsyncAPI reads its schemas as draft 7.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from bridge import __version__
from bridge.model.message import EVENT_TYPE, KEPT_CHARACTERS, Message, MessageFormat
from bridge.model.transition import (
    NOTIFY,
    RECOVERY,
    REPLAY,
    RETRY,
    SEQUENCE_DIGITS,
    STREAM,
    SWEEP,
    Poison,
    Transition,
)
from bridge.settings import Settings

Schema = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_ORIGINS = (STREAM, RECOVERY, SWEEP, REPLAY, NOTIFY, RETRY)
_TIME = "2026-03-02T20:31:02.511000+00:00"
_TRANSITION = Transition(
    "e513f385-70da-4f3d-aca2-1fe681e396d2",
    "complete",
    _TIME,
    "a79c0a19-af9d-42aa-a913-18961e16cc34",
    1772483462511000,
)
_POISON = Poison("the time is missing", *_TRANSITION[:2], "", *_TRANSITION[3:])
#: When MongoDB committed the example, in Unix seconds.
_COMMITTED = 1772483462.514
#: The moment of the example of a dead letter, in Unix seconds.
_NOW = 1772483465.25

#: The length in milliseconds and the zone never vary.
_MESSAGE_TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3}000)?\+00:00$"
_ANY_TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?\+00:00$"

_FIELDS: Mapping[str, Schema] = {
    "job_id": {"minLength": 1, "description": "The job id; also the key of the record"},
    "state": {"description": "The state after the transition"},
    "time": {
        "format": "date-time",
        "pattern": _MESSAGE_TIME,
        "description": "When the transition happened, by its writer's clock",
    },
    "trans_id": {
        "minLength": 1,
        "description": "The identity of the transition, the same in every copy",
    },
}
_LETTER_FIELDS: Mapping[str, str] = {
    "job_id": "The job id; empty if it is unknown",
    "state": "The state, as text; empty if it is unknown",
    "time": "The time of the transition, as text; empty if it is unknown",
    "trans_id": "The identity of the transition; empty if it is unknown",
    "error_dlq": "Why the transition cannot be sent",
}
_HEADERS: Mapping[str, Schema] = {
    "ce_specversion": {"const": "1.0", "description": "The version of CloudEvents"},
    "ce_type": {"const": EVENT_TYPE.decode(), "description": "The type of the event"},
    "ce_source": {
        "minLength": 1,
        "description": "job-bridge/DATABASE.COLLECTION, or the source that a Notifier names",
    },
    "content-type": {"const": "application/json", "description": "The type of the value"},
    "ce_id": {"description": "The trans_id; in a dead letter without one, the job id"},
    "ce_subject": {"description": "The job id"},
    "ce_time": {
        "format": "date-time",
        "pattern": _ANY_TIME,
        "description": "The time of the transition; in a dead letter, when it was made",
    },
    "ce_origin": {
        "enum": [origin.decode() for origin in _ORIGINS],
        "description": "How the transition was found",
    },
    "ce_committed": {
        "format": "date-time",
        "pattern": _ANY_TIME,
        "description": "When MongoDB committed the transition; in messages of the stream, not in "
        "dead letters",
    },
    "ce_sequence": {
        "pattern": f"^[0-9]{{1,{SEQUENCE_DIGITS}}}$",
        "description": "Orders the transitions of a job; absent for jobs without history",
    },
}
_OPTIONAL_HEADERS = frozenset({"ce_committed", "ce_sequence"})


def message_schema() -> Schema:
    """Describe the value of a message."""
    value = json.loads(_message().value)
    return _object(
        "Transition of a job",
        "The value of a message: one state transition of one job, as JSON text.",
        {name: {"type": "string", **_FIELDS[name]} for name in value},
        example=value,
    )


def dead_letter_schema() -> Schema:
    """Describe the value of a dead letter."""
    value = json.loads(_dead_letter().value)
    text: Schema = {"type": "string", "maxLength": KEPT_CHARACTERS}
    return _object(
        "Dead letter",
        "The value of a dead letter: what is known of a transition that cannot be sent. "
        f"Each field is text, truncated to {KEPT_CHARACTERS} characters.",
        {name: {**text, "description": _LETTER_FIELDS[name]} for name in value},
        example=value,
    )


def headers_schema() -> Schema:
    """Describe the headers of both."""
    example = {name: value.decode() for name, value in _message().headers}
    return _object(
        "Headers",
        "The headers of messages and dead letters, decoded as UTF-8. A record has no headers "
        "with kafka.headers = none.",
        {name: {"type": "string", **_HEADERS[name]} for name in example},
        optional=_OPTIONAL_HEADERS,
        example=example,
    )


def asyncapi() -> Schema:
    """Describe both topics for AsyncAPI 3.0."""
    topic = Settings().kafka.topic
    letters = MessageFormat(topic, "", cloudevents=True).dead_letter_topic
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "job-bridge",
            "version": __version__,
            "description": "Every state transition of a job in MongoDB as one Kafka message. "
            "The addresses are the defaults: the setting kafka.topic names the topic.",
            "license": {"name": "MIT", "url": "https://opensource.org/license/mit"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "transitions": _channel(topic, "transition", "The messages"),
            "deadLetters": _channel(letters, "deadLetter", "Transitions that cannot be sent"),
        },
        "operations": {
            "sendTransitions": _operation("transitions", "transition"),
            "sendDeadLetters": _operation("deadLetters", "deadLetter"),
        },
        "components": {
            "messages": {
                "transition": _message_object("transition", message_schema(), min_key_length=1),
                "deadLetter": _message_object("deadLetter", dead_letter_schema()),
            },
            "schemas": {
                "transition": _embedded(message_schema()),
                "deadLetter": _embedded(dead_letter_schema()),
                "headers": _embedded(headers_schema()),
            },
        },
    }


def _channel(address: str, message: str, description: str) -> Schema:
    return {
        "address": address,
        "description": description,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": {"topic": address, "bindingVersion": "0.5.0"}},
    }


def _operation(channel: str, message: str) -> Schema:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
    }


def _message_object(name: str, schema: Schema, min_key_length: int = 0) -> Schema:
    return {
        "name": name,
        "title": schema["title"],
        "summary": schema["description"],
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/headers"},
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "bindings": {
            "kafka": {
                "key": {
                    "type": "string",
                    "minLength": min_key_length,
                    "description": "The job id",
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _embedded(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "$schema"}


def _object(
    title: str,
    description: str,
    properties: Schema,
    *,
    example: Schema,
    optional: frozenset[str] = frozenset(),
) -> Schema:
    return {
        "$schema": _DRAFT,
        "title": title,
        "description": description,
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
        "examples": [example],
    }


def _format() -> MessageFormat:
    return MessageFormat(Settings().kafka.topic, "job-bridge/cts.jobs", cloudevents=True)


def _message() -> Message:
    return _format().message(_TRANSITION, STREAM, _COMMITTED)


def _dead_letter() -> Message:
    return _format().dead_letter(_POISON, STREAM, _NOW)


def _text(document: Schema) -> str:
    return json.dumps(document, indent=2) + "\n"


#: The files by name, and their contents.
SCHEMAS: dict[str, Callable[[], str]] = {
    "message.schema.json": lambda: _text(message_schema()),
    "headers.schema.json": lambda: _text(headers_schema()),
    "dead-letter.schema.json": lambda: _text(dead_letter_schema()),
    "asyncapi.json": lambda: _text(asyncapi()),
}
