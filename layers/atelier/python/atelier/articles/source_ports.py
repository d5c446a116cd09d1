"""Ports of editorial systems elsewhere, whose published articles are mirrored here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Protocol

from atelier.articles.model import ArticleContent
from atelier.dataclass import dataclass


class SourceBusy(Exception):
    """The system cannot answer now; it may be asked again after some seconds."""

    def __init__(self, seconds: int, why: str) -> None:
        super().__init__(why)
        self.seconds = seconds


class SourceRefused(Exception):
    """The system does not accept the credentials or the settings; the text is for people."""


@dataclass(frozen=True, slots=True)
class SourceAccount:
    """How a system is reached for a workspace. credentials: in clear, for as long as a request takes."""

    credentials: str = field(repr=False)
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SourceArticle:
    """A published article of another system. id, revision: the system's. locale: None = it names none."""

    id: str
    revision: str
    created_at: datetime
    published_at: datetime
    locale: str | None
    content: ArticleContent


@dataclass(frozen=True, slots=True)
class SourcePage:
    """Articles in the order of their ids. next_after: the id after which the next page begins; None on the last one.
    skipped: the ids of those that cannot be read as articles."""

    articles: tuple[SourceArticle, ...]
    next_after: str | None
    skipped: tuple[str, ...] = ()


class ArticleSource(Protocol):
    """An editorial system."""

    def page(self, account: SourceAccount, after: str | None) -> SourcePage:
        """Published articles, from one id on. Raises SourceBusy, SourceRefused."""
        ...

    def is_genuine(self, body: bytes, headers: Mapping[str, str], secret: str) -> bool:
        """Whether the system has sent this webhook. headers: by lower-case name."""
        ...
