"""Profiles: the field names of a jobs collection."""

from dataclasses import dataclass, replace

from bridge.errors import Misconfigured
from bridge.settings import Settings


@dataclass(frozen=True, slots=True)
class Profile:
    """The collection and its field names. All fields are at the top level, without dots.

    Attributes:
        id_field: The job id; ``_id`` if the document's own id is the job id.
        state_field: The latest state.
        transitions_field: The array of transitions. None if jobs store no history: then only the
            latest state is known, and ``updated_field`` gives its time if there is one.
        updated_field: The time of the last update, or None.
        transition_state, transition_time, transition_trans_id: The fields of a transition.
        archive_field: The array to which the service moves the transitions of a job that starts
            again, or None. They precede those of ``transitions_field``.
    """

    collection: str
    id_field: str
    state_field: str
    transitions_field: str | None
    updated_field: str | None
    transition_state: str = "state"
    transition_time: str = "time"
    transition_trans_id: str = "trans_id"
    archive_field: str | None = None

    @property
    def history_fields(self) -> tuple[str, ...]:
        """The arrays that contain a job's history, oldest first."""
        return tuple(filter(None, (self.archive_field, self.transitions_field)))


PROFILES = {
    "cts": Profile(
        "jobs",
        "id",
        "state",
        "transition_times",
        "_update_time",
        archive_field="trans_history",
    ),
    "ee2": Profile("ee2_jobs", "_id", "status", None, "updated"),
}


def profile_of(settings: Settings) -> Profile:
    """Return the profile that the settings choose, with its collection.

    Raises ``Misconfigured`` if a tag would overwrite a field of the service.
    """
    profile, sweep = _profile_of(settings), settings.sweep
    tags = {
        "background-jobs": (
            "job_tag",
            (
                profile.id_field,
                profile.state_field,
                *profile.history_fields,
                profile.updated_field,
            ),
        ),
        "background-transitions": (
            "transition_tag",
            (profile.transition_state, profile.transition_time, profile.transition_trans_id),
        ),
    }
    name, service_fields = tags.get(settings.delivery.mode, ("job_tag", ()))
    if (tag := getattr(sweep, name)) in service_fields:
        raise Misconfigured(
            f"sweep.{name} = {tag} is a field that the service uses: the bridge would overwrite it",
            "Nothing was read, sent or changed",
            "Choose a field that is used for the tag only",
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
        jobs.archive_field or None,
    )


def namespace_of(settings: Settings) -> str:
    """Return MongoDB's namespace, ``database.collection``."""
    return f"{settings.mongo.database}.{profile_of(settings).collection}"
