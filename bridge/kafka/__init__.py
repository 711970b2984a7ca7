"""Two Kafka drivers with the same interface: sinks, topics and their errors."""
