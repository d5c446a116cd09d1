"""Deployments in the sites table."""
