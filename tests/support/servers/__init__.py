"""Real servers for tests that no package brings."""
