"""The settings, read once and frozen."""

from bridge.config.load import Config, load
from bridge.config.times import parse_duration, parse_time, parse_when

__all__ = ["Config", "load", "parse_duration", "parse_time", "parse_when"]
