"""Read, publish, settle, remember: the loop and what it decides."""
