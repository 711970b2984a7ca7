"""The documents, states and writes of the simulated job service."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

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
TERMINAL = ("canceled", "complete", "error")
CLUSTERS = ("perlmutter-jaws", "lawrencium-jaws", "kbase")
IMAGE = "ghcr.io/kbase/collections"
DIGEST = "sha256:c9291c94c382b88975184203100d119cba865c1be91b1c5891749ee02193d380"
MAX_INPUT_FILES = 10_000  # the limit of the service


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


@dataclass(frozen=True, slots=True)
class Commit:
    """A transition that a majority of the replica set holds."""

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


@dataclass(frozen=True, slots=True)
class Step:
    """A transition of a journey: a state, values to append to arrays, fields to set."""

    state: str
    push: Mapping[str, object] = field(default_factory=dict)
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Journey:
    """The steps of a job from ``created`` to its end."""

    cluster: str
    steps: tuple[Step, ...]


def journey(random: Random, workload: Workload) -> Journey:
    """Draw a job's cluster, its end, and the writes of each step."""
    cluster = random.choice(CLUSTERS)
    states = _states(random, workload)
    return Journey(cluster, tuple(_step(state, cluster, random) for state in states))


def new_job(cluster: str, time: datetime, files: Sequence[Document]) -> Document:
    """A new document with its first transition and new ids."""
    return {
        "id": new_id(),
        "state": "created",
        "transition_times": [_first_transition(time)],
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
    transition = {
        "state": step.state,
        "time": time,
        "_retry": 0,
        "trans_id": trans_id,
        "notif_sent": False,
    }
    return {
        "$push": {"transition_times": transition, **step.push},
        "$set": {"state": step.state, "_update_time": time, **step.fields},
    }


def sent(job_id: str, trans_id: str) -> tuple[Document, Document]:
    """The query and the update that note a transition as sent by the service itself."""
    query = {"id": job_id, "transition_times.trans_id": trans_id}
    return query, {"$set": {"transition_times.$.notif_sent": True}}


def afterthoughts(cluster: str, now: datetime) -> list[Document]:
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
        {"$set": {"cleaned": True}},
    ]


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


def _states(random: Random, workload: Workload) -> tuple[str, ...]:
    draw = random.random()
    if draw < workload.error_share:
        return FAILING
    if draw < workload.error_share + workload.cancel_share:
        return (*HAPPY[: random.randint(1, len(HAPPY) - 1)], *CANCELING)
    return HAPPY


def _step(state: str, cluster: str, random: Random) -> Step:
    pushes = _kbase_pushes if cluster == "kbase" else _jaws_pushes
    return Step(state, pushes(state, random), _fields(state, random))


def _jaws_pushes(state: str, random: Random) -> Mapping[str, object]:
    task = str(uuid.UUID(int=random.getrandbits(128), version=4))
    arrays = {
        "download_submitted": "nersc_details.download_task_id",
        "job_submitted": "jaws_details.run_id",
        "upload_submitted": "nersc_details.upload_task_id",
        "error_processing_submitted": "nersc_details.log_upload_task_id",
    }
    return {arrays[state]: task} if state in arrays else {}


def _kbase_pushes(state: str, random: Random) -> Mapping[str, object]:
    if state == "download_submitted":
        return {"htcondor_details.cluster_id": random.randint(1, 99_999)}
    return {}


def _fields(state: str, random: Random) -> Mapping[str, object]:
    if state == "complete":
        outputs = [{"file": "cts/io/myuser/out/quality_report.tsv", "crc64nvme": "4YocWC/iHHg="}]
        return {"outputs": outputs, "output_file_count": len(outputs), **_usage(random)}
    if state == "error":
        return {**_failure(), **_usage(random)}
    return _usage(random) if state == "canceled" else {}


def _usage(random: Random) -> Mapping[str, object]:
    return {
        "cpu_hours": round(random.uniform(0.1, 90), 2),
        "cpu_factor": round(random.random(), 2),
        "max_memory": random.randrange(64_000_000_000),
    }


def _failure() -> Mapping[str, object]:
    return {
        "error": "An unexpected error occurred",
        "admin_error": "The container exited with code 1",
        "traceback": None,
        "logpath": "cts/logs/myuser/container-0-stderr.txt",
    }


def _first_transition(time: datetime) -> Document:
    return {
        "state": "created",
        "time": time,
        "trans_id": new_id(),
        "notif_sent": False,
        "_retry": 0,
    }


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
