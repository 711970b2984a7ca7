"""The settings, read once and frozen."""

from bridge.settings.load import Config, load
from bridge.settings.times import parse_duration, parse_time, parse_when

__all__ = ["Config", "load", "parse_duration", "parse_time", "parse_when"]
