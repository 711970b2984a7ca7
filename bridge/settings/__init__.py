"""The settings, read once and frozen."""

from bridge.settings.load import Settings, load
from bridge.settings.times import parse_duration, parse_time, parse_when

__all__ = ["Settings", "load", "parse_duration", "parse_time", "parse_when"]
