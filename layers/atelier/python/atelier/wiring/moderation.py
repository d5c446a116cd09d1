"""Moderation, composed: the policy of this deployment, and its moderator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from atelier.adapters.aws.secrets import Secret
from atelier.moderation.blocklist import DEFAULT_BLOCKLIST
from atelier.moderation.model import Category, Policy, Thumbnail
from atelier.moderation.ports import Findings, Moderator
from atelier.moderation.prompts import PromptCheck
from atelier.settings import Moderation, ProviderSecrets, ProviderUrls
from atelier.telemetry import logger
from atelier.wiring.prices import prices

if TYPE_CHECKING:
    from atelier.moderation.outputs import OutputCheck


class NoModerator:
    """Replaces a moderator that has no key: it gives no answer, and the policy decides what that means."""

    def texts(self, texts: Sequence[str], *, seconds_max: float) -> Findings | None:
        return None

    def image(self, thumbnail: Thumbnail, *, seconds_max: float) -> frozenset[Category] | None:
        return None


def prompt_check() -> PromptCheck:
    """The check of prompts."""
    return PromptCheck(policy(), DEFAULT_BLOCKLIST, moderator if Moderation.read().service else None)


def output_check() -> OutputCheck:
    """The check of results, before they are delivered."""
    # Imported here, because the functions that accept requests deliver nothing.
    from atelier.moderation.outputs import OutputCheck

    return OutputCheck(policy(), DEFAULT_BLOCKLIST, moderator if Moderation.read().service else None)


def upload_check() -> OutputCheck:
    """The check of uploaded files, by the policy for results: content that may not be made may not be sent to a model
    either."""
    from atelier.moderation.outputs import BROUGHT_SECONDS_MAX

    return replace(output_check(), of="uploads", seconds_max=BROUGHT_SECONDS_MAX)


@cache
def policy() -> Policy:
    """This deployment's policy. Raises ValueError for an unknown category."""
    settings = Moderation.read()
    names = (name.strip() for name in settings.categories.split(",") if name.strip())
    return Policy(frozenset(map(Category, names)), settings.when_unanswered)


def moderator() -> Moderator:
    """The moderator that judges beside the blocklist. The secret is read for each call, so that a rotated key is used
    within minutes."""
    by = Moderation.read().service
    try:
        access: Mapping[str, str] = _secret().value().get(by, {})
    except Exception:
        logger.exception("the providers secret was not read", provider=by)
        return NoModerator()
    key = access.get("api_key")
    if not key:
        logger.warning("the secret names no key for the moderator", provider=by)
        return NoModerator()
    return _openai(key, access.get("base_url") or ProviderUrls.read().by_provider().get(by))


@cache
def _secret() -> Secret:
    return Secret(ProviderSecrets.read().secret)


@cache
def _openai(api_key: str, base_url: str | None) -> Moderator:
    # Imported here, because most deployments have no moderator.
    from atelier.adapters.providers.openai_moderation import BASE_URL, OpenAIModeration

    model = prices().data.models_making("moderation", frozenset({"openai"}))[0].settings["model"]
    return OpenAIModeration(api_key=api_key, model=model, base_url=base_url or BASE_URL)
