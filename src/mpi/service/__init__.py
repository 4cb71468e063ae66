"""Use cases of the index: resolve, register, steward, control access."""
