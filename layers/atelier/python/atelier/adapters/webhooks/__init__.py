"""Requests to the receivers of webhooks."""
