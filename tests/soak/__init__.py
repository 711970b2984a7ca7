"""Long runs with random faults, which are started by hand."""
