"""The moderator of a deployment: built from the providers secret, or one that gives no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from atelier.moderation.configured import NoModerator, configured_moderator
from atelier.moderation.model import Thumbnail
from atelier.moderation.ports import Moderator

DEFAULT_URL = "https://moderation.example/v1"


def build(key: str, base_url: str | None) -> Moderator:
    return cast("Moderator", (key, base_url))


def moderator(secret: Mapping[str, Mapping[str, str]], default_url: str | None = None) -> Any:
    return configured_moderator("openai", lambda: secret, build, default_url)


@pytest.mark.parametrize(
    ("access", "default_url", "base_url"),
    [
        ({"api_key": "sk"}, None, None),
        ({"api_key": "sk"}, DEFAULT_URL, DEFAULT_URL),
        ({"api_key": "sk", "base_url": "https://own.example"}, DEFAULT_URL, "https://own.example"),
    ],
    ids=["the provider's usual one", "the deployment's", "the secret's"],
)
def test_the_base_url_is_the_nearest_that_is_named(
    access: dict[str, str], default_url: str | None, base_url: str | None
) -> None:
    assert moderator({"openai": access}, default_url) == ("sk", base_url)


@pytest.mark.parametrize("secret", [{}, {"openai": {}}, {"openai": {"api_key": ""}}, {"replicate": {"api_key": "r8"}}])
def test_a_secret_without_a_key_gives_a_moderator_without_answers(secret: dict[str, dict[str, str]]) -> None:
    without_key = moderator(secret)
    assert isinstance(without_key, NoModerator)
    assert without_key.texts(["a fox"], seconds_max=1) is None
    assert without_key.image(Thumbnail(b"", "image/png"), seconds_max=1) is None


def test_an_unreadable_secret_gives_a_moderator_without_answers() -> None:
    def unreadable() -> Mapping[str, Mapping[str, str]]:
        raise ConnectionError

    assert isinstance(configured_moderator("openai", unreadable, build, None), NoModerator)
