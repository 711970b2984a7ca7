"""Where a jobs collection keeps what the bridge needs."""

from dataclasses import dataclass, replace

from bridge.config import Config


@dataclass(frozen=True, slots=True)
class Profile:
    """Names of fields; all are top level, none has a dot.

    ``id_field`` is ``_id`` when the document's own id is the job id. ``transitions_field`` is None
    where no history is kept: then only the latest state is known and ``updated_field`` may give
    its time. The names inside a transition follow.
    """

    collection: str
    id_field: str
    state_field: str
    transitions_field: str | None
    updated_field: str | None
    transition_state: str = "state"
    transition_time: str = "time"
    transition_trans_id: str = "trans_id"


PROFILES = {
    "cts": Profile("jobs", "id", "state", "transition_times", "_update_time"),
    "ee2": Profile("ee2_jobs", "_id", "status", None, "updated"),
}


def profile_of(config: Config) -> Profile:
    """The profile in force, with the collection that was asked for."""
    jobs, collection = config.jobs, config.mongo.collection
    if jobs.profile != "custom":
        shipped = PROFILES[jobs.profile]
        return replace(shipped, collection=collection or shipped.collection)
    return Profile(
        collection or "jobs", str(jobs.id_field), str(jobs.state_field),
        jobs.transitions_field or None, jobs.updated_field or None,
        str(jobs.transition_state), str(jobs.transition_time), str(jobs.transition_trans_id),
    )


def namespace_of(config: Config) -> str:
    """``database.collection``, as MongoDB names it."""
    return f"{config.mongo.database}.{profile_of(config).collection}"
