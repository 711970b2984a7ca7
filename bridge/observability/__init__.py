"""What a running bridge tells: metrics, health, status."""
