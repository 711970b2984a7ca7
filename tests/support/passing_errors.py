"""Error codes of MongoDB that pass by themselves."""

#: Errors that the driver specification calls resumable, and other transient ones.
PASSING = (
    6,
    7,
    43,
    50,
    63,
    89,
    91,
    133,
    134,
    150,
    175,
    189,
    211,
    234,
    237,
    262,
    9001,
    10107,
    11600,
    11601,
    11602,
    13388,
    13435,
    13436,
)
