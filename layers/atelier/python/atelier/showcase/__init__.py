"""Showcase: what people publish, what others buy of it, and who is paid."""
