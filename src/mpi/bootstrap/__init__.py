"""The composition root: from settings to a wired service, the only place that knows every adapter."""
