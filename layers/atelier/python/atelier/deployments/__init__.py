"""Deployments: a published site as static files, and the places that serve them."""
