"""Checkpoint stores that need neither MongoDB nor Kafka."""
