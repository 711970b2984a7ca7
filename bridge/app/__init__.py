"""The objects of a running bridge, by their lifetime: process, bridge, session."""
