"""Routing: which providers can serve a request now, and in which order to try them."""
