"""Where a jobs collection keeps what the bridge needs."""

from dataclasses import dataclass, replace

from bridge.errors import Misconfigured
from bridge.settings import Settings


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


def profile_of(settings: Settings) -> Profile:
    """The profile in force, with the collection that was asked for. Raises ``Misconfigured`` where a tag would overwrite what the service keeps."""
    profile, sweep = _profile_of(settings), settings.sweep
    kept = {
        "background-jobs": (
            "job_tag",
            (
                profile.id_field,
                profile.state_field,
                profile.transitions_field,
                profile.updated_field,
            ),
        ),
        "background-transitions": (
            "transition_tag",
            (profile.transition_state, profile.transition_time, profile.transition_trans_id),
        ),
    }
    name, taken = kept.get(settings.delivery.mode, ("job_tag", ()))
    if (tag := getattr(sweep, name)) in taken:
        raise Misconfigured(
            f"sweep.{name} = {tag} is where the service itself keeps something: the bridge would overwrite it",
            "Nothing was read, sent or changed",
            "Name a field that is there for the tag only",
        )
    return profile


def _profile_of(settings: Settings) -> Profile:
    jobs, collection = settings.jobs, settings.mongo.collection
    if jobs.profile != "custom":
        shipped = PROFILES[jobs.profile]
        return replace(shipped, collection=collection or shipped.collection)
    return Profile(
        collection or "jobs",
        str(jobs.id_field),
        str(jobs.state_field),
        jobs.transitions_field or None,
        jobs.updated_field or None,
        str(jobs.transition_state),
        str(jobs.transition_time),
        str(jobs.transition_trans_id),
    )


def namespace_of(settings: Settings) -> str:
    """``database.collection``, as MongoDB names it."""
    return f"{settings.mongo.database}.{profile_of(settings).collection}"
