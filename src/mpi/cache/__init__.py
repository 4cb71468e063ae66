"""Adapters that keep answers to queries; each passes ``tests/contract``."""
