"""Which fault tests are too long for 'make test'."""

from __future__ import annotations

import os

import pytest

#: How often each fault that depends on chance is repeated.
REPEATS = int(os.environ.get("FAULT_REPEATS", "1"))
#: How long members of a group are killed at random.
CHAOS_SECONDS = float(os.environ.get("FAULT_SECONDS", "20"))
LONG = pytest.mark.skipif(REPEATS == 1, reason="long: 'make faults' runs it")
