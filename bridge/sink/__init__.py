"""Kafka: the producer, topics and their preflight, and the table of errors."""
