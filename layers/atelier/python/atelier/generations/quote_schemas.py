"""The HTTP schema of quotes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from typing_extensions import TypedDict

if TYPE_CHECKING:
    from atelier.catalogue.catalogue import Offer
    from atelier.generations.quote import Quote


class CandidateView(TypedDict):
    """A candidate that may be tried, and the most credits that it can take."""

    provider: str
    model: str
    credits: int


class QuoteView(TypedDict):
    """A price that holds until it expires: a submission redeems it once and never pays more than `credits_max`."""

    quote_id: str
    credits: int
    credits_max: int
    cost_microusd: int
    candidates: list[CandidateView]
    price_version: str
    expires_at: datetime


def quote_view(quote_id: str, quote: Quote, offers: tuple[Offer, ...]) -> QuoteView:
    """The response form of a quote; `quote_id` is the signed text."""
    return QuoteView(
        quote_id=quote_id,
        credits=quote.credits,
        credits_max=quote.credits_max,
        cost_microusd=quote.cost_microusd,
        candidates=[
            CandidateView(provider=offer.provider, model=offer.model, credits=offer.credits_max) for offer in offers
        ],
        price_version=quote.price_version,
        expires_at=quote.expires_at,
    )
