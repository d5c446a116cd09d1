"""The moderator of a deployment, built from the platform's access to its provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from atelier.moderation.model import Category, Thumbnail
from atelier.moderation.ports import Findings, Moderator
from atelier.telemetry import logger


class NoModerator:
    """Replaces a moderator that has no key: it gives no answer, and the policy decides what that means."""

    def texts(self, texts: Sequence[str], *, seconds_max: float) -> Findings | None:
        return None

    def image(self, thumbnail: Thumbnail, *, seconds_max: float) -> frozenset[Category] | None:
        return None


def configured_moderator(
    provider: str,
    read_secret: Callable[[], Mapping[str, Mapping[str, str]]],
    build: Callable[[str, str | None], Moderator],
    default_url: str | None,
) -> Moderator:
    """The moderator of a provider, or NoModerator when the secret cannot be read or has no key for it.

    read_secret: the platform's access by provider. build(key, base_url): the moderator; without a base URL it uses the
    provider's usual one. default_url: the base URL when the secret names none."""
    try:
        access = read_secret().get(provider, {})
    except Exception:
        logger.exception("the providers secret was not read", provider=provider)
        return NoModerator()
    key = access.get("api_key")
    if not key:
        logger.warning("the secret names no key for the moderator", provider=provider)
        return NoModerator()
    return build(key, access.get("base_url") or default_url)
