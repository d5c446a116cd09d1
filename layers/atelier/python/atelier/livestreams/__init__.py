"""Livestreams: scheduled, watched by those who may, and kept as recordings in the library."""
