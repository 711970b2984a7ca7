"""Proposes the settings of a profile, with the evidence and with the open decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.model.detection.arrays import ArrayOfDocuments, arrays_of_documents
from bridge.model.detection.candidates import Candidate, Undecided, choose, tie
from bridge.model.detection.histories import archive_candidates, history_candidates
from bridge.model.detection.job_fields import (
    id_candidates,
    state_candidates,
    updated_candidates,
)
from bridge.model.detection.notes import notes_on
from bridge.model.detection.values import Document, Indexes, fields_of
from bridge.model.profile import PROFILES, Profile
from bridge.settings.schema import PROFILE_SETTINGS

_OF_A_TRANSITION = ("transition_state", "transition_time", "transition_trans_id")
_NO_DOCUMENTS = "the collection contains no documents"
_TODO_HISTORY = (
    "set it to the array of a job's transitions; "
    "an empty value publishes each change of the state instead"
)


@dataclass(slots=True)
class Proposal:
    """The settings of a profile that the sample or a person decides.

    Attributes:
        jobs: the settings of the section ``jobs``; empty texts where a field does not exist.
        candidates: the fields that were compared, by setting.
        undecided: the settings that a person has to decide.
        notes: what the profile means for the delivery, as sentences.
    """

    jobs: dict[str, str] = field(default_factory=dict)
    candidates: list[Candidate] = field(default_factory=list)
    undecided: list[Undecided] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of the section ``jobs`` that a file needs: a shipped profile names all."""
        if self.jobs.get("profile") in PROFILES:
            return {"profile": self.jobs["profile"]}
        return {name: value for name, value in self.jobs.items() if value}

    def proposes(self, candidate: Candidate) -> bool:
        """Whether the proposal contains the candidate."""
        return self.jobs.get(candidate.setting) == candidate.name and not candidate.problem


def propose(
    documents: Sequence[Document],
    given: Mapping[str, str] | None = None,
    indexes: Indexes | None = None,
) -> Proposal:
    """Propose a profile for the collection of these documents.

    Args:
        documents: the sample; nested values may be replaced by their type.
        given: settings that a person decided, without their section; an empty text for a field
            that does not exist. With the profile ``custom`` no shipped profile is proposed.
    """
    return _Proposer(documents, dict(given or {}), indexes or Indexes()).propose()


class _Proposer:
    """The steps of a proposal; each uses the decisions of those before."""

    def __init__(
        self, documents: Sequence[Document], given: Mapping[str, str], indexes: Indexes
    ) -> None:
        self._fields = fields_of(documents)
        self._arrays = arrays_of_documents(self._fields)
        self._given = given
        self._indexes = indexes
        self._count = len(documents)
        self._proposal = Proposal()

    def propose(self) -> Proposal:
        self._decide("id_field", id_candidates(self._fields, self._indexes))
        self._decide("state_field", state_candidates(self._fields, self._arrays))
        current = self._history()
        self._updated(current)
        profile = self._given.get("profile") or next(filter(self._equals, PROFILES), "custom")
        if profile != "custom":
            self._proposal.undecided.clear()
            self._proposal.jobs = shipped_settings(profile)
        jobs = self._proposal.jobs
        self._proposal.notes += notes_on(self._proposal, self._fields, self._given, self._count)
        self._proposal.jobs = {
            "profile": profile,
            **{name: jobs[name] for name in PROFILE_SETTINGS if name in jobs},
        }
        return self._proposal

    def _decide(self, setting: str, candidates: Sequence[Candidate]) -> None:
        """Decide a required setting."""
        self._proposal.candidates += candidates
        if setting in self._given:
            self._proposal.jobs[setting] = self._given[setting]
            return
        best, tied = choose(candidates)
        if best:
            self._proposal.jobs[setting] = best.name
        elif tied:
            self._proposal.undecided.append(tie(setting, tied))
        else:
            self._proposal.undecided.append(self._unknown(setting, candidates))

    def _unknown(self, setting: str, candidates: Sequence[Candidate]) -> Undecided:
        where = "of an entry of the history" if setting in _OF_A_TRANSITION else "at the top level"
        todo = f"set it to the name of a field {where}"
        if not self._count:
            return Undecided(setting, _NO_DOCUMENTS, todo)
        if not candidates:
            return Undecided(setting, "no field of the sample looks like it", todo)
        problems = [f"{candidate.field}: {candidate.problem}" for candidate in candidates[:3]]
        return Undecided(setting, "; ".join(problems), todo)

    def _history(self) -> ArrayOfDocuments | None:
        """Decide the fields of the history; return it if the sample contains it."""
        known = {**self._proposal.jobs, **self._given}.keys()
        if not {"state_field", "transitions_field"} & known:
            reason = "it depends on jobs.state_field"
            self._proposal.undecided.append(
                Undecided("transitions_field", reason, _TODO_HISTORY, "''")
            )
            return None
        states = self._states()
        candidates = history_candidates(self._fields, self._arrays, states)
        self._proposal.candidates += candidates
        best, tied = choose(candidates)
        name = self._given.get("transitions_field", best.name if best else None)
        if name is None:
            self._proposal.undecided.append(
                tie("transitions_field", tied) if tied else self._without_history(candidates)
            )
            return None
        self._proposal.jobs["transitions_field"] = name
        if not name:
            self._proposal.jobs["archive_field"] = ""
            return None
        current = next((array for array in self._arrays if array.field.name == name), None)
        self._inside(current, states)
        self._archive(current)
        return current

    def _states(self) -> Sequence[object]:
        """Return the state of each document."""
        state = self._fields.get(self._proposal.jobs.get("state_field", ""))
        return state.values if state else [None] * self._count

    def _without_history(self, candidates: Sequence[Candidate]) -> Undecided:
        unknown = self._unknown("transitions_field", candidates)
        reason = (
            unknown.reason
            if candidates or not self._count
            else ("the sample contains no array of transitions")
        )
        return Undecided("transitions_field", reason, _TODO_HISTORY, "''")

    def _inside(self, current: ArrayOfDocuments | None, states: Sequence[object]) -> None:
        """Decide the names inside a transition."""
        choices = {
            "transition_state": current.states(states) if current else [],
            "transition_time": current.dates() if current else [],
        }
        for setting, candidates in choices.items():
            self._decide(setting, candidates)
        state = self._proposal.jobs.get("transition_state")
        identities = [
            candidate
            for candidate in (current.identities() if current else [])
            if candidate.name != state
        ]
        best, tied = choose(identities)
        if tied or best or "transition_trans_id" in self._given:
            self._decide("transition_trans_id", identities)
        else:
            self._proposal.candidates += identities

    def _archive(self, current: ArrayOfDocuments | None) -> None:
        jobs = self._proposal.jobs
        state, time = jobs.get("transition_state"), jobs.get("transition_time")
        candidates = (
            archive_candidates(self._arrays, current, state, time)
            if current and state and time
            else []
        )
        self._decide_optional("archive_field", candidates)

    def _updated(self, current: ArrayOfDocuments | None) -> None:
        time = self._proposal.jobs.get("transition_time", "")
        candidates = updated_candidates(self._fields, current, time, self._indexes)
        self._decide_optional("updated_field", candidates)

    def _decide_optional(self, setting: str, candidates: Sequence[Candidate]) -> None:
        """Decide a setting that may be empty."""
        best, tied = choose(candidates)
        if best or tied or setting in self._given:
            self._decide(setting, candidates)
            return
        self._proposal.candidates += candidates
        self._proposal.jobs[setting] = ""

    def _equals(self, name: str) -> bool:
        """Whether a shipped profile has the decided fields, and the sample shows no other."""
        jobs, wanted = self._proposal.jobs, shipped_settings(name)
        undecided = {undecided.setting for undecided in self._proposal.undecided}
        if not wanted["transitions_field"] and not self._has_history_candidates():
            undecided.discard("transitions_field")
        if undecided:
            return False
        unseen = {"archive_field", "transition_trans_id", "transitions_field"} - self._given.keys()
        return all(
            jobs.get(setting, "") == value or (setting in unseen and not jobs.get(setting))
            for setting, value in wanted.items()
        )

    def _has_history_candidates(self) -> bool:
        settings = {candidate.setting for candidate in self._proposal.candidates}
        return "transitions_field" in settings


def settings_of(profile: Profile) -> dict[str, str]:
    """Return the fields of a profile by the names of the settings."""
    return {name: getattr(profile, name) or "" for name in PROFILE_SETTINGS}


def shipped_settings(name: str) -> dict[str, str]:
    """Return the fields of a shipped profile that it uses."""
    settings = settings_of(PROFILES[name])
    if settings["transitions_field"]:
        return settings
    return {key: value for key, value in settings.items() if key not in _OF_A_TRANSITION}
