"""Workshops: learning together, with places, a wait list and fees in credits."""
