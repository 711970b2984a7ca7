"""The documents and states of the simulated job service, and its writes with ``$push``."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Literal

import bson

Document = dict[str, Any]

HAPPY = (
    "created",
    "download_submitted",
    "job_submitting",
    "job_submitted",
    "upload_submitting",
    "upload_submitted",
    "complete",
)
FAILING = (*HAPPY[:4], "error_processing_submitting", "error_processing_submitted", "error")
CANCELING = ("canceling", "canceled")
RECOVERING = "recovering"
TERMINAL = ("canceled", "complete", "error")
CLUSTERS = ("perlmutter-jaws", "lawrencium-jaws", "kbase")
IMAGE = "ghcr.io/kbase/collections"
DIGEST = "sha256:c9291c94c382b88975184203100d119cba865c1be91b1c5891749ee02193d380"
MAX_INPUT_FILES = 10_000  # the limit of the service
#: The arrays with the history of a job, the archive of its recovered attempts first.
HISTORY = ("trans_history", "transition_times")
#: The job ids of the service's second collection have this prefix.
PIPELINE_PREFIX = "pipeline-"

#: How the service writes.
#:
#: - ``push``: guarded updates with ``$push``, as CTS wrote until 2025; ``transition_times`` only
#:   grows.
#: - ``pipeline``: conditional pipeline updates, as the newest CTS writes. A failed job may be
#:   recovered: ``transition_times`` moves to ``trans_history`` and starts again.
#: - ``both``: about half of the jobs are written in each way, in one collection.
Writes = Literal["push", "pipeline", "both"]
#: The collection: ``pipeline_jobs`` has ids with a prefix, and no index on the update time.
Kind = Literal["jobs", "pipeline_jobs"]


@dataclass(frozen=True, slots=True)
class Workload:
    """The work of the simulated service; ``seed`` fixes all but the clock and the ids."""

    jobs: int | None = None  # None: until stopped
    rate: float | None = 20.0  # transitions per second over all jobs; None: as fast as possible
    concurrency: int = 8  # jobs at once
    size: int = 2000  # bytes of BSON of a new document; at least that of a job with a single file
    noise: bool = True  # writes that do not change a state
    error_share: float = 0.2
    cancel_share: float = 0.1
    seed: int | None = None
    writes: Writes = "push"
    recover_share: float = 0.7  # of the failed jobs that are written with pipelines
    kind: Kind = "jobs"


@dataclass(frozen=True, slots=True)
class Commit:
    """A transition that a majority of the replica set holds.

    ``sequence`` counts all transitions of the job from 0, over every recovery.
    """

    job_id: str
    sequence: int
    state: str
    time: datetime
    trans_id: str


@dataclass(frozen=True, slots=True)
class Indeterminate:
    """A transition whose write was not answered; a ``Commit`` follows if it was done."""

    job_id: str
    sequence: int
    state: str
    time: datetime
    trans_id: str
    reason: str


class Action(Enum):
    """The effect of a step on the job; without pipeline updates only ``ADVANCE``."""

    #: Append the transition.
    ADVANCE = "advance"
    #: Start to recover a failed job, unless a recovery started within the cool-down.
    START_RECOVERY = "start_recovery"
    #: The same at any time, also while the job is being recovered.
    FORCE_RECOVERY = "force_recovery"
    #: Archive the history and start it again with this transition.
    RECOVER = "recover"


class Obstacle(Enum):
    """The condition that an update does not meet."""

    #: The job was updated at a later time.
    UPDATED_LATER = "updated_later"
    #: The job is in another state than expected.
    OTHER_STATE = "other_state"
    #: The job has ended and cannot be canceled.
    ENDED = "ended"
    #: A recovery started a short time ago.
    COOL_DOWN = "cool_down"


@dataclass(frozen=True, slots=True)
class Step:
    """A transition of a journey: a state, values to append to arrays, fields to set.

    ``refused``: the service first tries an update that has no effect for this reason.
    """

    state: str
    push: Mapping[str, object] = field(default_factory=dict)
    fields: Mapping[str, object] = field(default_factory=dict)
    action: Action = Action.ADVANCE
    refused: Obstacle | None = None


@dataclass(frozen=True, slots=True)
class Journey:
    """The steps of a job from ``created`` to its end, and whether pipeline updates write them."""

    cluster: str
    steps: tuple[Step, ...]
    pipelines: bool = False


def new_job(
    cluster: str, time: datetime, files: Sequence[Document], kind: Kind = "jobs"
) -> Document:
    """A new document with its first transition and new ids."""
    return {
        "id": f"{PIPELINE_PREFIX if kind == 'pipeline_jobs' else ''}{new_id()}",
        "state": "created",
        "transition_times": [first_transition("created", time, new_id())],
        "user": "myuser",
        "admin_meta": {},
        "job_input": _job_input(cluster, files),
        "image": _image(time),
        "input_file_count": len(files),
        "cleaned": False,
        "_update_time": time,
        "_retry": 0,
    }


def guard(job_id: str, expected: str, time: datetime) -> Document:
    """The query of every transition: the job, if still in ``expected`` and not updated later."""
    return {"id": job_id, "_update_time": {"$lte": time}, "state": expected}


def change(step: Step, time: datetime, trans_id: str) -> Document:
    """The update of a transition: appends to the history and sets the latest state."""
    return {
        "$push": {"transition_times": later_transition(step.state, time, trans_id), **step.push},
        "$set": {"state": step.state, "_update_time": time, **step.fields},
    }


def first_transition(state: str, time: datetime, trans_id: str) -> Document:
    """The first element of a history, with the service's order of keys."""
    return {"state": state, "time": time, "trans_id": trans_id, "notif_sent": False, "_retry": 0}


def later_transition(state: str, time: datetime, trans_id: str) -> Document:
    """Every other element of a history; its keys have another order."""
    return {"state": state, "time": time, "_retry": 0, "trans_id": trans_id, "notif_sent": False}


def sent(job_id: str, trans_id: str) -> tuple[Document, Document]:
    """The query and the update that note a transition as sent by the service itself."""
    query = {"id": job_id, "transition_times.trans_id": trans_id}
    return query, {"$set": {"transition_times.$.notif_sent": True}}


def afterthoughts(cluster: str, now: datetime, *, pipelines: bool = False) -> list[Document]:
    """Later writes to a job that has ended: none changes the state, some look like it."""
    stamp = now.isoformat(timespec="microseconds")
    event = "admin_meta.cse_event_processing"
    late = [] if cluster == "kbase" else [{"$push": {"nersc_details.log_upload_task_id": new_id()}}]
    return [
        {
            "$set": {f"{event}_start": stamp},
            "$unset": {f"{event}_complete": "", f"{event}_error": ""},
        },
        {"$set": {f"{event}_complete": stamp}},
        {"$set": {"admin_meta.state": "complete", "admin_meta.transition_times.9": 1}},
        {"$set": {"admin_meta.state": "error", "admin_meta.transition_times.9": 2}},
        *late,
        *(_newest_afterthoughts(now) if pipelines else ()),
        {"$set": {"cleaned": True}},
    ]


def _newest_afterthoughts(now: datetime) -> tuple[Document, ...]:
    """Fields that only the newest service writes."""
    return (
        {"$set": {"_last_recover": to_millis(now)}},
        {"$push": {"htcondor_details.cluster_id": 4711}},
        {"$set": {"htcondor_details.upload_job_id": "4712.0"}},
        {"$push": {"admin_error_history": "The container exited with code 1"}},
    )


@functools.lru_cache(maxsize=8)
def input_files(size: int) -> tuple[Document, ...]:
    """Input files for a document of about ``size`` bytes of BSON: more files, then longer names."""
    file = _input_file(0, "")
    spare = size - _bytes(new_job(CLUSTERS[0], datetime.fromtimestamp(0), ()))
    # An array element adds its type and its index.
    file_bytes = _bytes(file) + 3 + len(str(MAX_INPUT_FILES)) // 2
    count = max(1, min(MAX_INPUT_FILES, spare // file_bytes))
    padding = "x" * max(0, (spare - count * file_bytes) // count)
    return tuple(_input_file(index, padding) for index in range(count))


def new_id() -> str:
    """A new id for a job or a transition, as the service makes it."""
    return str(uuid.uuid4())


def to_millis(time: datetime) -> datetime:
    """``time`` with the precision of MongoDB."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _image(time: datetime) -> Document:
    return {
        "registered_by": "aparkin",
        "registered_on": time,
        "name": IMAGE,
        "digest": DIGEST,
        "entrypoint": ["checkm2", "predict"],
        "tag": "checkm2_0.1.6",
        "refdata_id": "3a28c155-ea8b-4e1b-baef-242d991a8200",
        "default_refdata_mount_point": "/reference_data",
    }


def _job_input(cluster: str, files: Sequence[Document]) -> Document:
    return {
        "cluster": cluster,
        "image": f"{IMAGE}:checkm2_0.1.6@{DIGEST}",
        "params": {
            "input_mount_point": "/input_files",
            "output_mount_point": "/output_files",
            "declobber": False,
            "args": ["--threads", "32", "--input", {"type": "input_files"}, "-o", "/output_files"],
            "environment": {"CHECKM2DB": "/reference_data/CheckM2_database/uniref100.KO.1.dmnd"},
        },
        "num_containers": 2,
        "cpus": 32,
        "memory": 64_000_000_000,
        "runtime": 7200.0,
        "output_dir": "cts/io/myuser/out/",
        "input_files": list(files),
    }


def _input_file(index: int, padding: str) -> Document:
    return {"file": f"cts/io/myuser/{padding}GCA_{index:09d}.1.fa.gz", "crc64nvme": "4ekt2WB1KO4="}


def _bytes(document: Document) -> int:
    return len(bson.encode(document))
