"""Candidates as texts: a model, and the id of the own key to ask for it with (`openai/…@key_…`).

A workspace names its own models as it likes, so a name may hold an `@`, and even what looks like a key's id behind it:
only a last part that is such an id is one, and a name that ends like one gets an `@` with nothing behind it.
"""

from __future__ import annotations

from atelier.ids import is_id


def candidate(model: str, key: str | None) -> str:
    """The text of a candidate."""
    if key:
        return f"{model}@{key}"
    return model if candidate_parts(model) == (model, None) else f"{model}@"


def candidate_parts(text: str) -> tuple[str, str | None]:
    """The inverse: the model, and the key's id or None."""
    model, at, key = text.rpartition("@")
    if at and not key:
        return model, None
    return (model, key) if at and is_id(key, "key") else (text, None)
