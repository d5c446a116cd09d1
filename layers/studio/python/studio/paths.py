"""Paths of Studio to which a page may send a person on."""

from __future__ import annotations


def own_path(target: str) -> str:
    """A path of Studio to go on to; `/` for anything that a browser could read as another site."""
    plain = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return target if plain and target.isprintable() else "/"
