"""Kafka: two drivers behind one protocol, topics and their preflight, and what errors mean."""
