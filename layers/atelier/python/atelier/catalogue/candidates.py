"""Candidates as texts: a model, and the id of the workspace's own provider key to use with it (`openai/…@key_…`).

A workspace may give a custom model any name, also one with an `@`, or one that ends like a candidate with a key. Only a
last part that is a valid key id is read as a key; a model name that could be misread is written with an `@` at its end.
"""

from __future__ import annotations

from atelier.ids import is_id


def format_candidate(model: str, key: str | None) -> str:
    """The text of a candidate."""
    if key:
        return f"{model}@{key}"
    return model if parse_candidate(model) == (model, None) else f"{model}@"


def parse_candidate(text: str) -> tuple[str, str | None]:
    """Parse a candidate's text into the model and the key's id; None = no own key."""
    model, at, key = text.rpartition("@")
    if at and not key:
        return model, None
    return (model, key) if at and is_id(key, "key") else (text, None)
