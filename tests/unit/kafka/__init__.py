"""Tests of the Kafka drivers without a broker."""
