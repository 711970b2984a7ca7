"""The settings: a frozen model per section, with the default and description of each setting.

``kafka.py`` and ``http.py`` have those of Kafka and of the HTTP server. The descriptions are the
help texts of the options and the text of the settings reference.
"""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from bridge.settings.mongo_uri import unchecked_options
from bridge.settings.section import Section
from bridge.settings.values import (
    Age,
    Collection,
    ConnectionString,
    Database,
    Every,
    FieldName,
    Interval,
    JobsDatabase,
    StartFrom,
    TagName,
    Wait,
)


class MongoSettings(Section):
    """The connection to MongoDB, and the collection of the jobs."""

    uri: ConnectionString = Field(
        SecretStr("mongodb://localhost:27017"),
        description="Connection string of the replica set or mongos. "
        "It may contain a password, so it is treated as a secret.",
    )
    username: str = Field(
        "",
        description="User, if the URI does not contain it. "
        "Set both mongo.username and mongo.password, or neither.",
    )
    password: SecretStr = Field(
        SecretStr(""),
        description="Password of mongo.username. The user is looked up in mongo.database, "
        "unless the URI contains an authSource.",
    )
    database: JobsDatabase = Field("cdmtaskservice", description="Database of the jobs collection.")
    collection: Collection = Field(
        "",
        description="Collection of the jobs. Empty: the profile's collection "
        "(cts and custom: jobs, ee2: ee2_jobs).",
    )
    insecure: Literal["no", "yes"] = Field(
        "no",
        description="Whether mongo.uri may contain tlsInsecure, tlsAllowInvalidCertificates or "
        "tlsAllowInvalidHostnames, with which any server is accepted as MongoDB: no or yes.",
    )

    @model_validator(mode="after")
    def user_and_password_go_together(self) -> "MongoSettings":
        if bool(self.username) != bool(self.password.get_secret_value()):
            raise ValueError("set both mongo.username and mongo.password, or neither")
        return self

    @model_validator(mode="after")
    def certificates_are_checked(self) -> "MongoSettings":
        unchecked = unchecked_options(self.uri.get_secret_value())
        if unchecked and self.insecure == "no":
            raise ValueError(
                f"mongo.uri contains {', '.join(unchecked)}, so any server is accepted as MongoDB: "
                "remove that and name the authority in tlsCAFile, or accept it with --insecure "
                "(mongo.insecure = yes)"
            )
        return self


class JobsSettings(Section):
    """The fields of a job's document."""

    profile: Literal["cts", "ee2", "custom"] = Field(
        "cts",
        description="Field names of the jobs: cts (CDM Task Service), ee2 (Execution Engine), "
        "or custom, with the other jobs settings, which are for custom only.",
    )
    id_field: FieldName = Field(
        None,
        description="Field of the job id, the message key; _id for the document's own id. "
        "Required.",
    )
    state_field: FieldName = Field(None, description="Field of the latest state. Required.")
    transitions_field: FieldName = Field(
        None,
        description="Array of a job's transitions. Empty: jobs store no history, and each change "
        "of the state field is a transition.",
    )
    archive_field: FieldName = Field(
        None,
        description="Array to which the service moves a job's transitions when the job starts "
        "again; they precede those of transitions_field.",
    )
    updated_field: FieldName = Field(
        None,
        description="Time of the job's last update, by which a recovery reads the jobs; it should "
        "have an index. Without a history it is the transition's time.",
    )
    transition_state: FieldName = Field("state", description="State inside a transition.")
    transition_time: FieldName = Field("time", description="Time inside a transition.")
    transition_trans_id: FieldName = Field(
        "trans_id",
        description="Identity inside a transition, by which consumers drop duplicates.",
    )

    @model_validator(mode="after")
    def fields_fit_together(self) -> "JobsSettings":
        if self.profile != "custom":
            given = sorted(self.model_fields_set - {"profile"})
            if given:
                raise ValueError(f"jobs.{given[0]} needs jobs.profile = custom")
        elif self.archive_field and self.transitions_field in (None, "", self.archive_field):
            raise ValueError("jobs.archive_field needs another field as jobs.transitions_field")
        elif not (self.transition_state and self.transition_time and self.transition_trans_id):
            raise ValueError(
                "jobs.transition_state, jobs.transition_time and jobs.transition_trans_id "
                "must not be empty"
            )
        return self


#: The settings that a profile decides, without their section, in the order of the settings file.
PROFILE_SETTINGS = tuple(name for name in JobsSettings.model_fields if name != "profile")


class DeliverySettings(Section):
    """The delivery mode and its limits."""

    mode: Literal[
        "at-least-once",
        "synchronous",
        "fire-and-forget",
        "background-jobs",
        "background-transitions",
        "exactly-once",
    ] = Field(
        "at-least-once",
        description="Delivery guarantee: at-least-once, exactly-once, synchronous, "
        "fire-and-forget, background-jobs or background-transitions; docs/delivery-modes.md "
        "compares them.",
    )
    send_timeout_seconds: Interval = Field(
        35.0,
        description="How long to wait for the acknowledgement of a message, in seconds. "
        "Mode synchronous and the command notify only.",
    )
    window_messages: Annotated[int, Field(ge=1)] = Field(
        4_000,
        description="Maximum number of messages in flight. At the limit reading pauses, or mode "
        "fire-and-forget drops messages. It bounds memory and the duplicates after a crash. "
        "Mode exactly-once has 10000 by default.",
    )
    window_bytes: Annotated[int, Field(ge=1)] = Field(
        16_777_216,
        description="Maximum number of bytes in flight: the same limit for large messages.",
    )
    drain_seconds: Wait = Field(
        20.0,
        description="How long a stop waits for messages in flight, in seconds. Messages that are "
        "not acknowledged by then are sent again after the next start.",
    )
    dead_letters_per_hour: Annotated[int, Field(ge=0)] = Field(
        100,
        description="Maximum number of dead letters in an hour. More stop the bridge (exit 82) "
        "between two events: they point to a fault larger than a few jobs. A restart continues "
        "with the next event and counts from zero. 0 stops at every dead letter.",
    )


class CheckpointSettings(Section):
    """The stored position, and its ownership."""

    store: Literal["mongo", "file", "kafka"] = Field(
        "mongo",
        description="Store of the position: mongo or kafka, which allow standbys, or file, for a "
        "single bridge with a local disk. kafka keeps it in the topic <kafka.topic>-bridge-state "
        "and needs librdkafka.",
    )
    name: str = Field(
        "",
        description="Name of the checkpoint. Bridges with the same name share it: one is active, "
        "the others are standbys. Empty: DATABASE.COLLECTION of the jobs. A checkpoint of this "
        "collection with the former default name job-bridge is used instead, if there is one.",
    )
    database: Database = Field(
        "job_bridge",
        description="Database of the collection job_bridge_checkpoints. Store mongo only.",
    )
    file: str = Field(
        "job-bridge.checkpoint.json",
        description="Path of the checkpoint file; its folder must be writable. Store file only.",
        min_length=1,
    )
    interval_seconds: Interval = Field(
        1.0,
        description="How often to store the position, in seconds. "
        "It bounds the duplicates after a crash.",
    )
    lease_seconds: Annotated[Wait, Field(ge=1)] = Field(
        10.0,
        description="A standby takes over if the owner has not renewed its lease for this many "
        "seconds. Store mongo only.",
    )
    instance: str = Field(
        "",
        description="Name of this process, different in each: Kafka waits for its restart before "
        "a standby takes over (static membership). Store kafka only.",
    )


class StartSettings(Section):
    """The first start."""

    from_: StartFrom = Field(
        "now",
        alias="from",
        description="Where to start if there is no checkpoint: now, an ISO 8601 time with a zone, "
        "or history, which first publishes all transitions that the jobs contain.",
    )


class RecoverySettings(Section):
    """The action after an outage longer than the oplog."""

    on_history_lost: Literal["recover", "stop"] = Field(
        "recover",
        description="Action if the oplog no longer contains the checkpoint's position: recover "
        "publishes the gap from the jobs' history, stop ends the bridge (exit 80).",
    )
    margin_seconds: Age = Field(
        3600.0,
        description="How far the clocks of the services that write jobs may differ, in seconds. A "
        "recovery starts this long before the gap. With kafka.read_back = off the default is 60.",
    )


class SweepSettings(Section):
    """The tags of the background modes."""

    job_tag: TagName = Field(
        "",
        description="Field of a job that is true while its latest state is still to be sent. "
        "Mode background-jobs only, where it is required.",
    )
    tagged_by: Literal["service", "bridge"] = Field(
        "service",
        description="Writer of sweep.job_tag: service, in the write that changes the state, or "
        "bridge, when it reads the change from the stream. Mode background-jobs only.",
    )
    transition_tag: TagName = Field(
        "notif_sent",
        description="Field of a transition that is false until it was sent. "
        "Mode background-transitions only.",
    )
    every_seconds: Interval = Field(
        60.0, description="How often to look for tags, in seconds. Background modes only."
    )
    older_than_seconds: Age = Field(
        120.0,
        description="How old a tagged transition must be before a sweep sends it, in seconds. "
        "Younger ones may still be in flight. Background modes only.",
    )


class VerifySettings(Section):
    """The verification in a running bridge."""

    every: Every = Field(
        "never",
        description="How often a running bridge compares the jobs' history with the topic: never, "
        "or a duration such as 10m. It needs Read on the topic.",
    )
    settle_seconds: Age = Field(
        30.0,
        description="Transitions younger than this many seconds are not compared, because they "
        "may still be in flight.",
    )


class LogSettings(Section):
    """The log on standard error."""

    format: Literal["auto", "plain", "json"] = Field(
        "auto",
        description="Log format: plain, json, or auto (json for run and sweep without a terminal, "
        "else plain).",
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is logged: debug, info, warning or error."
    )
