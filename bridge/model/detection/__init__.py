"""Proposes the profile of a collection by a sample of its documents."""
