"""Deployments of sites."""
