"""Adapters to AWS: each implements a context's ports and nothing else knows the SDK."""
