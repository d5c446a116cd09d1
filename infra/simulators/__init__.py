"""Simulators for the services that the product calls: they answer as the vendors' documentation says, and fail on
request."""
