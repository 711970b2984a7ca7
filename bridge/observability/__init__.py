"""The view on a running bridge from outside: metrics, health, status."""
