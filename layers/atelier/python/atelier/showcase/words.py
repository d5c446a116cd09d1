"""The words by which listings are found. Pure."""

from __future__ import annotations

import re
import unicodedata

from atelier.showcase.model import Listing
from atelier.showcase.rules import SEARCH_WORDS_MAX, WORDS_MAX

_WORD = re.compile(r"\w{2,30}")
# What is looked at of a text.
_CHARACTERS_MAX = 2000


def words_in(text: str) -> list[str]:
    """The words of a text, without accents and in small letters, each once."""
    plain = unicodedata.normalize("NFKD", text[:_CHARACTERS_MAX].casefold())
    letters = "".join(each for each in plain if not unicodedata.combining(each))
    return list(dict.fromkeys(_WORD.findall(letters)))


def words_of(listing: Listing) -> tuple[str, ...]:
    """The words by which a listing is found: of its title, its tags and its description, up to WORDS_MAX."""
    found = [*words_in(listing.title), *words_in(" ".join(listing.tags)), *words_in(listing.description)]
    return tuple(dict.fromkeys(found))[:WORDS_MAX]


def search_words(text: str) -> list[str]:
    """The words of a search, the longest first, because it is in the fewest listings."""
    return sorted(words_in(text), key=len, reverse=True)[:SEARCH_WORDS_MAX]
