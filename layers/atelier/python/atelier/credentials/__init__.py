"""Own keys: what a workspace brings of its own for a provider, sealed, and which providers it wants to be used."""
