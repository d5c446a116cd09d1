"""HTTP schemas of the first page."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from atelier.articles.model import ShownArticle, article_url
from atelier.deployments.model import SiteDeployment
from atelier.home.model import Home, RecentGeneration
from atelier.lazy_model import LazyModel
from atelier.workshops.model import Enrolment, Workshop

PROMPT_CHARACTERS = 120


class HomeCredits(LazyModel):
    """available: what can be spent now; today's grant is not in it before it is used or read."""

    available: int
    held: int
    tier: str


class HomeGeneration(LazyModel):
    id: str
    kind: str
    status: str
    progress: int
    prompt: str = Field(description=f"Its first {PROMPT_CHARACTERS} characters; empty for a long one.")
    created_at: datetime


class HomeWorkshop(LazyModel):
    """enrolment: the state of the person's enrolment; null where they teach."""

    id: str
    title: str
    starts_at: datetime
    status: str
    places_taken: int
    capacity: int
    waiting: int
    enrolment: str | None


class HomeDeployment(LazyModel):
    id: str
    site_id: str
    target: str
    status: str
    url: str | None
    created_at: datetime


class HomeArticle(LazyModel):
    id: str
    kind: str
    title: str
    summary: str
    locale: str
    slug: str
    url: str
    published_at: datetime


class HomeView(LazyModel):
    """What a person sees first. running: how many generations have not ended. teaching, learning, deployments: null
    where the persona does not have them."""

    persona: str
    credits: HomeCredits
    running: int
    unread_notifications: int
    generations: list[HomeGeneration]
    articles: list[HomeArticle]
    teaching: list[HomeWorkshop] | None
    learning: list[HomeWorkshop] | None
    deployments: list[HomeDeployment] | None


def home_view(home: Home, base_url: str, now: datetime) -> HomeView:
    """What a person sees first."""
    wallet = home.wallet
    return HomeView(
        persona=home.persona,
        credits=HomeCredits(available=wallet.spendable(now), held=wallet.held, tier=wallet.tier_name_at(now)),
        running=wallet.holds_open,
        unread_notifications=home.unread,
        generations=list(map(_generation, home.generations)),
        articles=[_article(each, base_url) for each in home.articles],
        teaching=None if home.teaching is None else [_workshop(each, None) for each in home.teaching],
        learning=None if home.learning is None else [_workshop(*each) for each in home.learning],
        deployments=None if home.deployments is None else list(map(_deployment, home.deployments)),
    )


def _generation(generation: RecentGeneration) -> HomeGeneration:
    return HomeGeneration(
        id=generation.id,
        kind=generation.kind,
        status=generation.status,
        progress=generation.progress,
        prompt=generation.prompt[:PROMPT_CHARACTERS],
        created_at=generation.created_at,
    )


def _workshop(workshop: Workshop, enrolment: Enrolment | None) -> HomeWorkshop:
    return HomeWorkshop(
        id=workshop.id,
        title=workshop.title,
        starts_at=workshop.starts_at,
        status=workshop.status.value,
        places_taken=workshop.places_taken,
        capacity=workshop.capacity,
        waiting=workshop.waiting_count,
        enrolment=enrolment.state.value if enrolment else None,
    )


def _deployment(deployment: SiteDeployment) -> HomeDeployment:
    return HomeDeployment(
        id=deployment.id,
        site_id=deployment.site_id,
        target=deployment.target.value,
        status=deployment.status.value,
        url=deployment.url,
        created_at=deployment.created_at,
    )


def _article(shown: ShownArticle, base_url: str) -> HomeArticle:
    return HomeArticle(
        id=shown.id,
        kind=shown.kind.value,
        title=shown.title,
        summary=shown.summary,
        locale=shown.locale,
        slug=shown.slug,
        url=article_url(shown, base_url),
        published_at=shown.published_at,
    )
