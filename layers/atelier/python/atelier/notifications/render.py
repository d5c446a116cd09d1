"""The texts of notifications in each language, from `texts/<language>.json`. What people have written (the name of a
workspace) is data: its braces mean nothing, its control characters become spaces, and its length is bounded."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

from atelier.dataclass import dataclass
from atelier.mails.mail import supported_locale
from atelier.notifications.kinds import Fact
from atelier.notifications.mail_time import zone_of
from atelier.notifications.model import NotificationKind

FOLDER = Path(__file__).with_name("texts")
FACT_CHARACTERS_MAX = 100


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one notification. action: the label of its action; empty = it has none."""

    title: str
    body: str
    action: str


def texts_of(
    kind: NotificationKind, locale: str | None, facts: Mapping[str, Fact], time_zone: str | None = None
) -> Texts:
    """The texts in the language and the time zone of a reader."""
    shown = {name: _plain(_local(value, time_zone)) for name, value in facts.items()}
    return Texts(**{name: text.format_map(shown) for name, text in _catalogue(supported_locale(locale))[kind].items()})


@cache
def _catalogue(language: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((FOLDER / f"{language}.json").read_text("utf-8"))
    return found


def _local(value: Fact, time_zone: str | None) -> Fact:
    """A time as 2026-12-04 18:00 (Europe/Berlin); anything else as it is."""
    if not isinstance(value, datetime):
        return value
    zone = zone_of(time_zone)
    return f"{value.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"


def _plain(value: Fact) -> str:
    text = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in str(value))
    return text if len(text) <= FACT_CHARACTERS_MAX else text[: FACT_CHARACTERS_MAX - 1] + "…"
