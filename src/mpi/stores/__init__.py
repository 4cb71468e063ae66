"""Adapters that keep identities; each passes ``tests/contract``."""
