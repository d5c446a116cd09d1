"""Resolve the model names of requests: `provider/model`, `auto`, or the vendor's own name of a model (`gpt-5.5`)."""

from __future__ import annotations

import re

from atelier.catalogue.catalogue import CatalogueData
from atelier.catalogue.tiers import CUSTOM, CUSTOM_PREFIX

AUTO = "auto"
SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def resolve(name: str, data: CatalogueData) -> str | None:
    """The id of the model that a name means, also of a retired model; `auto` unchanged; None for an unknown name.

    A name without a provider is first looked up among OpenAI's models. The name of a dated snapshot means the model
    itself when the catalogue does not have the snapshot."""
    if name == AUTO:
        return name
    for candidate in dict.fromkeys((name, SNAPSHOT.sub("", name))):
        if "/" in candidate:
            if (data.model(candidate) or candidate in data.retired) and candidate != CUSTOM:
                return candidate
            continue
        for known in (f"openai/{candidate}", *_ids_ending_with(candidate, data)):
            if known in data.retired or data.model(known):
                return known
    return None


def _ids_ending_with(name: str, data: CatalogueData) -> list[str]:
    ids = [*(model.id for model in data.models), *data.retired]
    return [each for each in ids if each.partition("/")[2] == name and not each.startswith(CUSTOM_PREFIX)]
