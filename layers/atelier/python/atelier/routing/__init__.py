"""Routing: who of the providers may be asked now, and in which order."""
