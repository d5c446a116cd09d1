"""Adapters of APIs that are compatible with OpenAI's: client, errors, text, images and speech."""
