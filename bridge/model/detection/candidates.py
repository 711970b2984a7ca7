"""Candidates for a setting, and the choice among them."""

from collections.abc import Sequence
from typing import NamedTuple

from bridge.model.detection.names import is_plain


class Candidate(NamedTuple):
    """A field that may be meant by a setting.

    Attributes:
        setting: the name of the setting, without its section.
        field: the name of the field; one inside a transition has its array in front: ``log[].at``.
        seen, of: how many of the sampled documents, or of their transitions, have the field.
        types: MongoDB's names of its types, the most frequent first.
        score: the weight of the evidence; only compared within a setting. With 0 the field is
            shown, for a person who knows it, but not chosen.
        evidence: the reasons for the field, as text.
        problem: why the bridge cannot use the field; empty if it can.
    """

    setting: str
    field: str
    seen: int
    of: int
    types: str
    score: float
    evidence: str
    problem: str = ""

    @property
    def name(self) -> str:
        """The name of the field as the setting expects it."""
        return self.field.rpartition("[].")[2]


class Undecided(NamedTuple):
    """A setting that the sample does not decide.

    Attributes:
        setting: the name of the setting, without its section.
        reason: why, a clause without a full stop.
        todo: the values that decide it, a clause without a full stop.
        value: the values as an option has them: ``state|phase``, or a word for them.
    """

    setting: str
    reason: str
    todo: str
    value: str = "FIELD"


class Choice(NamedTuple):
    """The best candidate of a setting, or the candidates that are equally good."""

    best: Candidate | None
    tied: Sequence[Candidate] = ()


def choose(candidates: Sequence[Candidate]) -> Choice:
    """Return the usable candidate with the highest score, unless several share it."""
    usable = [candidate for candidate in candidates if candidate.score and not candidate.problem]
    if not usable:
        return Choice(None)
    top = max(candidate.score for candidate in usable)
    tied = [candidate for candidate in usable if candidate.score == top]
    return Choice(tied[0]) if len(tied) == 1 else Choice(None, tied)


def name_problem(name: str) -> str:
    """Return why settings cannot contain the name of a field; empty if they can."""
    if is_plain(name):
        return ""
    return "the name contains characters other than letters, digits and _"


def tie(setting: str, tied: Sequence[Candidate]) -> Undecided:
    """Return the reason why equally good candidates do not decide a setting."""
    names = [candidate.name for candidate in tied]
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return Undecided(
        setting,
        f"the evidence for {listed} is equal",
        f"set it to {' or '.join(names)}",
        "|".join(names),
    )
