"""Simulators of the hosts that sites are deployed to."""
