"""job-bridge: every state transition of a job in MongoDB becomes one Kafka message."""

__version__ = "0.1.0"
