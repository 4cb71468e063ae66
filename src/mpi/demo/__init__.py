"""A made-up population with its truth, for demonstrations and measurements. No real patient."""
