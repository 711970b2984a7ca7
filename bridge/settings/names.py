"""The names that a setting has in the environment and on the command line."""

PREFIX = "JOB_BRIDGE_"


def variable(name: str) -> str:
    """Return the environment variable of ``section.name``."""
    return PREFIX + name.replace(".", "_").upper()


def option(name: str) -> str:
    """Return the command line option of ``section.name``."""
    return "--" + name.replace(".", "-").replace("_", "-")
