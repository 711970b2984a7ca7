"""The settings: read once at the start, validated, and frozen."""

from bridge.settings.load import Settings, load
from bridge.settings.times import parse_duration, parse_time, parse_when

__all__ = ["Settings", "load", "parse_duration", "parse_time", "parse_when"]
