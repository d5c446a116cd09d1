"""Simulators of identity providers: Google and GitHub."""
