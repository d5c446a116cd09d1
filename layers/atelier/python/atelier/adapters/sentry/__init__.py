"""Sentry, by its SDK."""
