"""The transactional ids of a bridge."""


def transactional_ids(transactional_id: str) -> tuple[str, str]:
    """Return both ids of a producer, in the order in which it uses them.

    An ACL with this prefix covers both.
    """
    return transactional_id, f"{transactional_id}/2"
