"""Every text that Studio shows, by key: a folder for each language, with a JSON file for each room."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape

LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch"}
DEFAULT = "en"


def chosen_language(cookie: str, accept_language: str) -> str:
    """The language of a page: the person's choice, or the first language of their browser that we have."""
    if cookie in LANGUAGES:
        return cookie
    for part in accept_language.split(","):
        code = part.partition(";")[0].strip().lower().partition("-")[0]
        if code in LANGUAGES:
            return code
    return DEFAULT


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """All texts of a language, by key."""
    texts: dict[str, str] = {}
    for file in sorted((Path(__file__).parent / language).glob("*.json")):
        texts |= json.loads(file.read_text("utf-8"))
    return texts


def fill(text: str, values: Mapping[str, object]) -> Markup:
    """A text with its placeholders filled in. What is filled in is escaped; the text itself may hold markup."""
    # The text is of our own catalogue, never anybody's input.
    return Markup(text).format_map({name: escape(value) for name, value in values.items()})  # nosec B704


class Translator:
    """`t("key", name=value)`: the text in one language. Values are escaped; the texts themselves may hold markup.

    A text with a number has two forms, `key` for one and `key_other` for other numbers; the value is named `n`."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = catalogue(language)

    def __call__(self, key: str, /, **values: object) -> Markup:
        """Raises KeyError for a text that does not exist: a test asks for every key that pages use."""
        form = f"{key}_other" if "n" in values and values["n"] != 1 and f"{key}_other" in self._texts else key
        return fill(self._texts[form], values)

    def has(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in self._texts
