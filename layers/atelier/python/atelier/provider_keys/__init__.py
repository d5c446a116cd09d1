"""Own keys: the provider keys that a workspace has added, stored encrypted, and its preferences among providers."""
