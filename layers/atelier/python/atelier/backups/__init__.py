"""Backups of the whole deployment: what they contain, how they are written, and how one is checked."""
