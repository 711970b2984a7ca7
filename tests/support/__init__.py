"""Helpers of the tests: servers, fakes, job writers, harnesses."""
