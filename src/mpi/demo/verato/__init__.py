"""A Verato of our own, for tests and trials: HTTPS with client certificates, wrong when told to be."""
