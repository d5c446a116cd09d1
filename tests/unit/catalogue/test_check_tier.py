"""What a tier includes: the offers that are left, and the refusal that names the tiers with more."""

from __future__ import annotations

from typing import Any

import pytest

from atelier.catalogue.catalogue import Offer
from atelier.catalogue.check_tier import included_offers
from atelier.errors import PaymentRequired
from tests.price_lists import with_tiers

CANVAS, SDXL = Offer("local/canvas", "local", 1, 0, 10), Offer("replicate/sdxl", "replicate", 6, 4000, 60)
OWN = Offer("custom/our-model", "custom", 0, 0, 60, key="key_1")
OFFERS = (SDXL, CANVAS, OWN)


@pytest.mark.parametrize(
    ("free", "left"),
    [
        ({}, OFFERS),
        ({"kinds": ["image"]}, OFFERS),
        ({"models": ["local/canvas"]}, (CANVAS,)),
        ({"models": ["replicate/sdxl", "local/canvas"]}, (SDXL, CANVAS)),
        ({"models": ["custom/endpoint"]}, (OWN,)),
    ],
)
def test_the_offers_of_a_tiers_models_are_left_in_their_order(free: dict[str, Any], left: tuple[Offer, ...]) -> None:
    shelf = with_tiers(free=free)
    assert included_offers("image", "auto", OFFERS, shelf.tier("free"), shelf) == left


@pytest.mark.parametrize(
    ("model", "free", "starter", "feature", "tiers"),
    [
        ("auto", {"kinds": ["text"]}, {}, "kind:image", ["starter@1", "pro@1", "studio@1"]),
        ("local/canvas", {"kinds": ["text"]}, {}, "kind:image", ["starter@1", "pro@1", "studio@1"]),
        ("auto", {"kinds": ["text"]}, {"kinds": ["text"]}, "kind:image", ["pro@1", "studio@1"]),
        ("auto", {"models": ["local/writer"]}, {}, "kind:image", ["starter@1", "pro@1", "studio@1"]),
        ("local/canvas", {"models": ["replicate/sdxl"]}, {}, "model:local/canvas", ["starter@1", "pro@1", "studio@1"]),
        # A tier that is no longer on sale is not offered.
        ("auto", {"kinds": ["text"]}, {"price_month": 0, "price_year": 0}, "kind:image", ["pro@1", "studio@1"]),
    ],
)
def test_a_refusal_names_the_feature_and_the_tiers_that_include_it(
    model: str, free: dict[str, Any], starter: dict[str, Any], feature: str, tiers: list[str]
) -> None:
    shelf = with_tiers(free=free, starter=starter)
    with pytest.raises(PaymentRequired) as refused:
        included_offers("image", model, (CANVAS,), shelf.tier("free"), shelf)
    error = refused.value
    assert (error.status, error.code, error.retryable) == (402, "PAYMENT_REQUIRED", False)
    assert error.facts == {"feature": feature, "tiers": tiers}
    assert error.message.startswith("The tier Free does not include the ")


def test_an_older_version_of_a_tier_keeps_what_it_includes() -> None:
    shelf = with_tiers(pro={"models": ["local/canvas"]})
    assert included_offers("image", "auto", OFFERS, shelf.tier("pro@1"), shelf) == (CANVAS,)
