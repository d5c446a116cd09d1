"""Events: what happened, for whoever listens. Producers publish values, consumers subscribe by type."""
