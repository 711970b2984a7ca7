"""The settings: one frozen section each, with default, unit and reason beside the name.

Read in order of strength: defaults, the TOML file, ``JOB_BRIDGE_SECTION_NAME`` in the environment
(secrets also from the file named by ``JOB_BRIDGE_SECTION_NAME_FILE``), options of the command line.
"""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from bridge.settings.times import parse_duration, parse_time

_YEAR = 366 * 24 * 3600


def _topic(name: str) -> str:
    bad = re.search(r"[^a-zA-Z0-9-]", name)
    if bad:
        raise ValueError(
            f"Illegal character {bad.group()!r} in Kafka topic {name!r}: letters, digits and - only"
        )
    # Room for the dead-letter topic's suffix within Kafka's limit of 249.
    if not 1 <= len(name) <= 245:
        raise ValueError("a topic name has 1 to 245 characters")
    return name


def _servers(text: str) -> str:
    for server in text.split(","):
        _, _, port = server.strip().rpartition(":")
        if (
            not re.fullmatch(r"([\w.-]+|\[[0-9a-fA-F:.]+\]):\d{1,5}", server.strip())
            or int(port) > 65535
        ):
            raise ValueError(
                f"{server.strip()!r} is not HOST:PORT; several are separated by commas"
            )
    return text


def _field_name(name: str | None) -> str | None:
    if name and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"{name!r} is no plain field name: letters, digits and _ only, top level")
    return name


def _start(text: str) -> str:
    if text not in ("now", "history") and not 1970 < parse_time(text).year < 2106:
        raise ValueError(f"{text} is no time of MongoDB's oplog: those are from 1970 to 2106")
    return text


def _database(name: str) -> str:
    if name in ("admin", "local", "config"):
        raise ValueError(f"{name!r} is a database of MongoDB's own, which has no change streams")
    return _database_name(name)


def _database_name(name: str) -> str:
    if not name or len(name.encode()) > 63 or set(name) & set('/\\. "$\0'):
        raise ValueError(
            f'{name!r} is no name of a MongoDB database: up to 63 bytes, without any of /\\. "$'
        )
    return name


def _collection(name: str) -> str:
    if name and (
        name.startswith((".", "system."))
        or name.endswith(".")
        or ".." in name
        or set(name) & set("$\0")
    ):
        raise ValueError(
            f"{name!r} is no name of a collection with jobs: without $, no dot at an end nor two in a row, not system.*"
        )
    return name


def _tag_name(name: str) -> str:
    return _field_name(name) or ""


def _every(text: str) -> str:
    every = parse_duration(text) if text != "never" else timedelta(days=1)
    if not timedelta(seconds=1) <= every <= timedelta(seconds=_YEAR):
        raise ValueError(
            f"a verification begins once a second at most, and once a year at least, not every {text}"
        )
    return text


FieldName = Annotated[str | None, AfterValidator(_field_name)]
#: Seconds to wait, and how old something is in seconds. Bounded, because what is added to a time or handed to a timer has an end.
Wait = Annotated[float, Field(ge=0, le=_YEAR, allow_inf_nan=False)]
Age = Annotated[float, Field(ge=0, le=10 * _YEAR, allow_inf_nan=False)]
Interval = Annotated[Wait, Field(gt=0)]


class Section(BaseModel):
    """Frozen, and closed: an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    @field_validator("*", mode="before")
    @classmethod
    def not_yes_or_no(cls, value: Any) -> Any:
        """True would pass for the number 1."""
        if isinstance(value, bool):
            raise ValueError("true and false are no values here")
        return value


class Mongo(Section):
    uri: SecretStr = Field(
        SecretStr("mongodb://localhost:27017"),
        description="connection string; may hold a password, so it is a secret",
    )
    username: str = Field("", description="user, when not in the URI; both or neither of the two")
    password: SecretStr = Field(
        SecretStr(""),
        description="password; authSource is the database unless the URI says otherwise",
    )
    database: Annotated[str, AfterValidator(_database)] = Field(
        "cdmtaskservice", description="database of the jobs collection"
    )
    collection: Annotated[str, AfterValidator(_collection)] = Field(
        "", description="collection; empty: the profile's (jobs for cts, ee2_jobs for ee2)"
    )

    @model_validator(mode="after")
    def both_or_neither(self) -> "Mongo":
        if bool(self.username) != bool(self.password.get_secret_value()):
            raise ValueError("give both of mongo.username and mongo.password, or neither")
        return self


class Jobs(Section):
    profile: Literal["cts", "ee2", "custom"] = Field(
        "cts", description="where the collection keeps things; custom takes the names below"
    )
    id_field: FieldName = Field(
        None, description="field of the job id; _id for the document's own (custom profile)"
    )
    state_field: FieldName = Field(None, description="field of the state (custom profile)")
    transitions_field: FieldName = Field(
        None, description="array of transitions; empty where no history is kept (custom profile)"
    )
    updated_field: FieldName = Field(
        None,
        description="time of the last update: by it gaps are read from the jobs' history (custom profile)",
    )
    transition_state: FieldName = Field(
        "state", description="name of the state inside a transition (custom profile)"
    )
    transition_time: FieldName = Field(
        "time", description="name of the time inside a transition (custom profile)"
    )
    transition_trans_id: FieldName = Field(
        "trans_id", description="name of the identity inside a transition (custom profile)"
    )

    @model_validator(mode="after")
    def custom_is_whole(self) -> "Jobs":
        names = {
            "id_field",
            "state_field",
            "transitions_field",
            "updated_field",
            "transition_state",
            "transition_time",
            "transition_trans_id",
        }
        if self.profile != "custom":
            given = sorted(names & self.model_fields_set)
            if given:
                raise ValueError(f"jobs.{given[0]} needs jobs.profile = custom")
        elif not (self.id_field and self.state_field):
            raise ValueError("jobs.profile = custom needs jobs.id_field and jobs.state_field")
        elif not (self.transition_state and self.transition_time and self.transition_trans_id):
            raise ValueError(
                "jobs.transition_state, jobs.transition_time and jobs.transition_trans_id name fields: none can be empty"
            )
        return self


class Kafka(Section):
    bootstrap_servers: Annotated[str, AfterValidator(_servers)] = Field(
        "localhost:9092", description="host:port, several separated by commas"
    )
    topic: Annotated[str, AfterValidator(_topic)] = Field(
        "job-transitions",
        description="topic of the messages; not cts-jobs, where CTS sends its own; letters, digits and - only",
    )
    driver: Literal["auto", "kafka-python", "librdkafka"] = Field(
        "auto",
        description="the client library; auto takes librdkafka where the extra of that name is installed",
    )
    headers: Literal["cloudevents", "none"] = Field(
        "cloudevents", description="CloudEvents headers beside the value, or none"
    )
    on_oversize: Literal["dead-letter", "stop"] = Field(
        "dead-letter", description="what to do with a message larger than the topic takes"
    )
    compression: Literal["none", "gzip"] = Field(
        "none", description="compression of batches; messages are small, so none"
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how the brokers are spoken to"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="how to log in, with SASL_*"
    )
    sasl_username: str = Field("", description="user, with SASL_*")
    sasl_password: SecretStr = Field(SecretStr(""), description="password, with SASL_*")
    ssl_cafile: str = Field(
        "", description="file of the authorities to trust, with SSL; empty: the system's"
    )
    ssl_certfile: str = Field("", description="file of the client certificate, for mutual TLS")
    ssl_keyfile: str = Field("", description="file of the client key, for mutual TLS")
    ssl_password: SecretStr = Field(SecretStr(""), description="password of the client key")

    @model_validator(mode="after")
    def sasl_is_whole(self) -> "Kafka":
        if self.security_protocol.startswith("SASL") and not (
            self.sasl_username and self.sasl_password.get_secret_value()
        ):
            raise ValueError(
                f"kafka.security_protocol = {self.security_protocol} needs kafka.sasl_username and kafka.sasl_password"
            )
        return self

    @model_validator(mode="after")
    def nothing_is_given_in_vain(self) -> "Kafka":
        unused = [
            name
            for name, part in (
                ("sasl_username", "SASL"),
                ("sasl_password", "SASL"),
                ("ssl_cafile", "SSL"),
                ("ssl_certfile", "SSL"),
                ("ssl_keyfile", "SSL"),
                ("ssl_password", "SSL"),
            )
            if getattr(self, name) not in ("", SecretStr("")) and part not in self.security_protocol
        ]
        if unused:
            raise ValueError(
                f"kafka.{unused[0]} is not used with kafka.security_protocol = {self.security_protocol}: brokers would be spoken to without it"
            )
        return self

    def servers(self) -> list[str]:
        return [server.strip() for server in self.bootstrap_servers.split(",") if server.strip()]


class Delivery(Section):
    mode: Literal[
        "at-least-once",
        "synchronous",
        "fire-and-forget",
        "background-jobs",
        "background-transitions",
    ] = Field(
        "at-least-once",
        description="what is promised, and what keeps the promise; docs/delivery-modes.md compares them",
    )
    send_timeout_seconds: Interval = Field(
        35.0,
        description="how long a message that is waited for may take, in seconds (mode synchronous, job-bridge notify)",
    )
    window_messages: Annotated[int, Field(ge=1)] = Field(
        4_000, description="most messages in flight; bounds memory and what a crash repeats"
    )
    window_bytes: Annotated[int, Field(ge=1)] = Field(
        16_777_216, description="most bytes in flight, in bytes"
    )
    drain_seconds: Wait = Field(
        20.0, description="how long a stop waits for messages in flight, in seconds"
    )
    dead_letters_per_hour: Annotated[int, Field(ge=0)] = Field(
        100, description="more dead letters in an hour stop the bridge (exit 82)"
    )


class CheckpointSettings(Section):
    store: Literal["mongo", "file"] = Field(
        "mongo", description="where the position is kept: MongoDB, or one local file"
    )
    name: str = Field(
        "job-bridge",
        description="name of the checkpoint; bridges of one name are one bridge and its stand-ins",
        min_length=1,
    )
    database: Annotated[str, AfterValidator(_database_name)] = Field(
        "job_bridge", description="database of the collection job_bridge_checkpoints (store mongo)"
    )
    file: str = Field(
        "job-bridge.checkpoint.json", description="path of the file (store file)", min_length=1
    )
    interval_seconds: Interval = Field(
        1.0, description="how often to store it, in seconds; bounds what a crash repeats"
    )
    lease_seconds: Annotated[Wait, Field(ge=1)] = Field(
        10.0,
        description="a stand-in takes over when the owner has not renewed for so many seconds (store mongo)",
    )


class Start(Section):
    from_: Annotated[str, AfterValidator(_start)] = Field(
        "now",
        alias="from",
        description="where to begin without a checkpoint: now, history (all that the jobs tell, once), or an ISO 8601 time with zone",
    )


class Recovery(Section):
    on_history_lost: Literal["recover", "stop"] = Field(
        "recover",
        description="when the oplog no longer reaches back to the checkpoint: publish the gap from the jobs' own history, or stop (exit 80)",
    )
    margin_seconds: Age = Field(
        60.0,
        description="how far the writers' clocks may be apart, in seconds; so much before a gap is sent again",
    )


class Sweep(Section):
    job_tag: Annotated[str, AfterValidator(_tag_name)] = Field(
        "",
        description="field of a job that is true while its state is still to be sent (mode background-jobs)",
    )
    tagged_by: Literal["service", "bridge"] = Field(
        "service",
        description="who sets it: the service with each change of state, or the bridge when it sees one (mode background-jobs)",
    )
    transition_tag: Annotated[str, AfterValidator(_tag_name)] = Field(
        "notif_sent",
        description="field of a transition that is false until it was sent (mode background-transitions)",
    )
    every_seconds: Interval = Field(60.0, description="how often to look for tags, in seconds")
    older_than_seconds: Age = Field(
        120.0,
        description="how old what is tagged has to be, in seconds: younger ones are on their way",
    )


class Verify(Section):
    every: Annotated[str, AfterValidator(_every)] = Field(
        "never",
        description="how often a running bridge compares the jobs' history with the topic: never, or a duration such as 10m",
    )
    settle_seconds: Age = Field(
        30.0,
        description="how young a transition may be and still be on its way, in seconds: younger ones are not looked at",
    )


class Http(Section):
    host: str = Field(
        "127.0.0.1",
        description="address of /metrics, /livez, /readyz and /status.json",
        min_length=1,
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        9595, description="its port; 0: any free one, named in the log"
    )

    def url(self, port: int) -> str:
        """Where that port is on this host, as a browser has it."""
        return f"http://[{self.host}]:{port}" if ":" in self.host else f"http://{self.host}:{port}"


class Log(Section):
    format: Literal["auto", "plain", "json"] = Field(
        "auto", description="auto is plain on a terminal, json otherwise"
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="what to say at least"
    )
