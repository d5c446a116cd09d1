"""Simulators of streaming services."""
