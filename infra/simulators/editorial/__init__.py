"""Simulators of editorial systems."""
