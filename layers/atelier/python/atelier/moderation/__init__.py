"""Moderation: which requests are refused, and which results are withheld."""
