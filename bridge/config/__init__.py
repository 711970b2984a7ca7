"""The settings, read once and frozen."""

from bridge.config.load import Config, load
from bridge.config.sections import parse_time

__all__ = ["Config", "load", "parse_time"]
