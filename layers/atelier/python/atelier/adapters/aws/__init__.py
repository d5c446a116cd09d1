"""Adapters to AWS. Each implements ports of a context; no other code imports the SDK."""
