"""What a person sees first. Immutable, no side effects."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from atelier.articles.model import ShownArticle
from atelier.dataclass import dataclass
from atelier.deployments.model import SiteDeployment
from atelier.ledger.model import Wallet
from atelier.workshops.model import Enrolment, Workshop

GENERATIONS, WORKSHOPS, DEPLOYMENTS, ARTICLES = 4, 3, 3, 3


class HomeSection(StrEnum):
    """What only some personas see."""

    # Workshops of the workspace.
    TEACHING = "teaching"
    # Workshops in which the person has enrolled.
    LEARNING = "learning"
    DEPLOYMENTS = "deployments"


# Personas by their sections. Credits, generations, notifications and articles are for all.
SECTIONS: Mapping[str, frozenset[HomeSection]] = {
    "artist": frozenset({HomeSection.LEARNING}),
    "educator": frozenset({HomeSection.TEACHING}),
    "partner": frozenset({HomeSection.DEPLOYMENTS, HomeSection.TEACHING}),
    "none": frozenset({HomeSection.LEARNING, HomeSection.DEPLOYMENTS}),
}


@dataclass(frozen=True, slots=True)
class RecentGeneration:
    """A generation without what only its page shows. prompt: empty for one that is too long to be stored beside it."""

    id: str
    kind: str
    status: str
    progress: int
    prompt: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Home:
    """What a person sees first. A section that the persona does not have is None."""

    persona: str
    wallet: Wallet
    unread: int
    generations: tuple[RecentGeneration, ...]
    articles: tuple[ShownArticle, ...]
    teaching: tuple[Workshop, ...] | None
    learning: tuple[tuple[Workshop, Enrolment], ...] | None
    deployments: tuple[SiteDeployment, ...] | None
