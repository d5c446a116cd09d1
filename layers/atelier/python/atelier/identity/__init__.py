"""Identity: who a caller is, how they prove it, and what they may do in which workspace."""
