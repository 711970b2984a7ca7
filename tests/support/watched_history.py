"""The history of a job, followed through its change events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The archive first: its elements are older.
ARRAYS = ("trans_history", "transition_times")

Element = dict[str, Any]


class WatchedHistory:
    """The archive and the current array of a job, from its whole document on."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._arrays = {name: list(document.get(name) or ()) for name in ARRAYS}

    def elements(self) -> list[Element]:
        """All elements, the oldest first."""
        return [element for name in ARRAYS for element in self._arrays[name]]

    def replace(self, document: Mapping[str, Any]) -> list[Element]:
        """Take the arrays of a new document; returns the elements that are new by identity."""
        before = self._identities()
        self._arrays = WatchedHistory(document)._arrays
        return self._unknown(before)

    def update(self, description: Mapping[str, Any]) -> list[Element]:
        """Apply the description of an update; returns the elements that are new by identity."""
        before = self._identities()
        for array in description.get("truncatedArrays") or ():
            if array["field"] in ARRAYS:
                del self._arrays[array["field"]][array["newSize"] :]
        for path in description.get("removedFields") or ():
            if path in ARRAYS:
                self._arrays[path] = []
        for path, value in description["updatedFields"].items():
            self._set(path, value)
        return self._unknown(before)

    def _identities(self) -> set[str]:
        return {element["trans_id"] for element in self.elements()}

    def _unknown(self, known: set[str]) -> list[Element]:
        return [element for element in self.elements() if element["trans_id"] not in known]

    def _set(self, path: str, value: Any) -> None:
        name, _, below = path.partition(".")
        if name not in ARRAYS:
            return
        array = self._arrays[name]
        index, _, field = below.partition(".")
        if not below:
            self._arrays[name] = list(value)
        elif field:
            array[int(index)] = {**array[int(index)], field: value}
        elif int(index) < len(array):
            array[int(index)] = value
        else:
            assert int(index) == len(array), f"{path} leaves a gap in {array}"
            array.append(value)
