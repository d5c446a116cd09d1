"""Targets of deployments: each brings a site to one host."""
