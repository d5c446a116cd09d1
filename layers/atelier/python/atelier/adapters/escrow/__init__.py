"""Encryption for a key that nothing of the deployment has."""
