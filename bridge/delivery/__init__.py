"""The delivery modes and what they wrap around stream and sink."""
