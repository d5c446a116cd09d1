"""Moderation, composed: the policy of this deployment, and its moderator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from atelier.adapters.aws.secrets import Secret
from atelier.moderation.blocklist import DEFAULT_BLOCKLIST
from atelier.moderation.model import Category, Policy
from atelier.moderation.ports import Moderator
from atelier.moderation.prompts import PromptCheck
from atelier.provider_settings import ProviderSecrets, ProviderUrls
from atelier.settings import Moderation
from atelier.wiring.prices import prices

if TYPE_CHECKING:
    from atelier.moderation.outputs import OutputCheck


def prompt_check() -> PromptCheck:
    """The check of prompts."""
    return PromptCheck(policy(), DEFAULT_BLOCKLIST, _moderator())


def output_check() -> OutputCheck:
    """The check of results, before they are delivered."""
    # Imported here, because the functions that accept requests deliver nothing.
    from atelier.moderation.outputs import OutputCheck

    return OutputCheck(policy(), DEFAULT_BLOCKLIST, _moderator())


def upload_check() -> OutputCheck:
    """The check of uploaded files, by the policy for results: content that may not be made may not be sent to a model
    either."""
    from atelier.moderation.outputs import BROUGHT_SECONDS_MAX

    return replace(output_check(), of="uploads", seconds_max=BROUGHT_SECONDS_MAX)


@cache
def policy() -> Policy:
    """This deployment's policy. Raises ValueError for an unknown category."""
    settings = Moderation.read()
    return Policy(frozenset(map(Category, settings.category_names)), settings.when_unanswered)


def openai_moderator() -> Moderator:
    """OpenAI as the moderator that judges beside the blocklist. The secret is read for each call, so that a rotated key
    is used within minutes."""
    # Imported here, because most deployments have no moderator.
    from atelier.moderation.configured import configured_moderator

    default_url = ProviderUrls.read().by_provider().get("openai")
    return configured_moderator("openai", _read_secret, _openai, default_url)


# By the setting `service`: opens the moderator; None = only the blocklist judges.
MODERATORS: Mapping[str, Callable[[], Moderator] | None] = {"": None, "openai": openai_moderator}


def _moderator() -> Callable[[], Moderator] | None:
    return MODERATORS[Moderation.read().service]


def _read_secret() -> Mapping[str, Mapping[str, str]]:
    return _secret().value()


@cache
def _secret() -> Secret:
    return Secret(ProviderSecrets.read().secret)


@cache
def _openai(api_key: str, base_url: str | None) -> Moderator:
    # Imported here, because most deployments have no moderator.
    from atelier.adapters.providers.openai_moderation import OpenAIModeration

    model = prices().data.models_making("moderation", frozenset({"openai"}))[0].settings["model"]
    return OpenAIModeration(api_key=api_key, model=model, base_url=base_url)
