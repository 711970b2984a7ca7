"""The array index in the path of a change, which any text may replace."""

#: An array in a document of 16 MB has fewer than ten million elements.
_MAX_DIGITS = 8


class NotAnArray(ValueError):
    """A path has a key where an array has an index: the field is a document."""


def parse_index(text: str) -> int:
    """Return an array index; raises :class:`NotAnArray` for any other text.

    ``int()`` alone accepts digits of other scripts and fails on thousands of them.
    """
    if len(text) <= _MAX_DIGITS and text.isascii() and text.isdigit():
        return int(text)
    raise NotAnArray(f"its history is not an array, but has the key {text!r:.40}")
