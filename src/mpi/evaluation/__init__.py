"""Labelled sets, how right the index is on them, and models learned from them."""
