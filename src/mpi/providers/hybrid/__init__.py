"""Our own matching and Verato together, by strategy."""
