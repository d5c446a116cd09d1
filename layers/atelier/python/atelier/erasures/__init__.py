"""Erasure of accounts and organisations."""
