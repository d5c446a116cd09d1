"""Check offers against a workspace's tier: which kinds and models it includes. Pure: values in, values out."""

from __future__ import annotations

from atelier.catalogue.catalogue import Catalogue, Offer
from atelier.catalogue.tiers import Tier
from atelier.errors import PaymentRequired

AUTO = "auto"


def included_offers(
    kind: str, model_id: str, offers: tuple[Offer, ...], tier: Tier, catalogue: Catalogue
) -> tuple[Offer, ...]:
    """Those of a request's offers that the tier includes, whoever's key pays for them. kind, model_id: what is
    requested; the model may be `auto`. Raises PaymentRequired when the tier includes none."""
    included = tuple(offer for offer in offers if tier.includes(kind, offer.model))
    if included:
        return included
    is_kind = model_id == AUTO or kind not in tier.allowed_kinds
    raise PaymentRequired(
        f"The tier {tier.title} does not include {f'the kind {kind}' if is_kind else f'the model {model_id}'}.",
        feature=f"kind:{kind}" if is_kind else f"model:{model_id}",
        tiers=catalogue.tiers_with(lambda other: any(other.includes(kind, offer.model) for offer in offers)),
    )
