"""Mails: what is sent to whom, the links and codes in them, and their texts in each language."""
