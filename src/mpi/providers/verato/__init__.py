"""Verato: its HTTPS client, the provider that asks it, and what keeps our index and theirs in step."""
