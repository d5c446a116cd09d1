"""HTTP schemas of own keys and provider preferences. No response contains a key."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, StringConstraints
from pydantic_core import PydanticCustomError

from atelier.catalogue.catalogue import providers_with_keys
from atelier.lazy_model import LazyModel
from atelier.provider_keys.add_key import NewKey
from atelier.provider_keys.check_key import KeyCheck
from atelier.provider_keys.model import (
    PRIORITY_DEFAULT,
    PRIORITY_MAX,
    CustomModel,
    ProviderCredentials,
    ProviderKey,
    ProviderPreference,
)
from atelier.provider_keys.provider_preferences import ProviderSettings


def _check_provider(provider: str) -> str:
    """Refuse a provider that takes no keys. The list is the catalogue's, so a new provider needs no change here. Raises
    PydanticCustomError, with the type and text of pydantic's own error for a list of choices."""
    known = [f"'{each}'" for each in providers_with_keys()]
    if f"'{provider}'" not in known:
        expected = f"{', '.join(known[:-1])} or {known[-1]}"
        raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
    return provider


ServedKind = Literal["audio", "image", "page", "text"]
KeyId = Annotated[str, Field(pattern=r"^key_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")
]


class ServedModel(LazyModel):
    """A model behind a custom endpoint."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")]
    kind: ServedKind


class AddKeyRequest(LazyModel):
    """Add a key. It is encrypted at once, and never shown again."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    provider: Annotated[str, AfterValidator(_check_provider)] = Field(
        description="The id of a provider that needs a key; `custom` is any endpoint with OpenAI's API."
    )
    key_name: Name = Field(description="What you call it; one of a name for a provider.")
    # The length is checked in add_key.py, not here: an error of this schema could quote the key.
    key: SecretStr = Field(description="8 to 512 printable ASCII characters; spaces around it are cut off.")
    base_url: str | None = Field(default=None, max_length=300, description="Of a custom provider: an https address.")
    models: list[ServedModel] = Field(default=[], max_length=50, description="What a custom provider serves.")

    def new_key(self, workspace_id: str, user_id: str, idempotency_key: str | None) -> NewKey:
        """The key as the caller adds it."""
        return NewKey(workspace_id, user_id, self.provider, self.key_name, self.credentials(), idempotency_key)

    def credentials(self) -> ProviderCredentials:
        """The same as a domain value."""
        models = tuple(CustomModel(model.name, model.kind) for model in self.models)
        return ProviderCredentials(self.key.get_secret_value(), self.base_url, models=models)


class SwitchKeyRequest(LazyModel):
    """Switch a key off or on."""

    model_config = ConfigDict(extra="forbid")

    is_active: bool


class KeyTestView(LazyModel):
    """The result of testing a key; `error_class` is null when the provider accepted it."""

    ok: bool
    error_class: str | None
    at: datetime


class ProviderKeyView(LazyModel):
    """One own key, without its secret."""

    id: str
    provider: str
    key_name: str
    last_four: str
    is_active: bool
    base_url: str | None
    models: list[ServedModel]
    created_at: datetime
    last_used_at: datetime | None
    last_test: KeyTestView | None


class KeyEnvelope(LazyModel):
    key: ProviderKeyView


class KeyList(LazyModel):
    """All keys of the workspace, at most 50."""

    items: list[ProviderKeyView]
    next_cursor: None = None


class TestedView(KeyTestView):
    """The result of a test just made; `message` says why the provider refused the key."""

    message: str | None


class TestEnvelope(LazyModel):
    test: TestedView


class ProviderPreferenceInput(LazyModel):
    """The workspace's preferences for one provider."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(min_length=1, max_length=40)]
    enabled: bool = True
    priority: int = Field(default=PRIORITY_DEFAULT, ge=0, le=PRIORITY_MAX, description="Lower is tried first.")
    use_own_key: KeyId | None = Field(
        default=None, description="The own key to use in place of the platform's access; null = the platform's."
    )

    platform_fallback: bool = Field(
        default=False, description="Whether the platform's access may be used, for credits, when your own key fails."
    )

    def preference(self) -> ProviderPreference:
        """The same as a domain value."""
        return ProviderPreference(self.id, self.enabled, self.priority, self.use_own_key, self.platform_fallback)


class PreferencesRequest(LazyModel):
    """Replaces all preferences: a provider that is not named gets the defaults."""

    model_config = ConfigDict(extra="forbid")

    providers: Annotated[list[ProviderPreferenceInput], Field(max_length=50)]
    version: int | None = Field(
        default=None,
        ge=0,
        description="As it was read: a change by somebody else since then is a VERSION_CONFLICT. Without it, that one "
        "is overwritten.",
    )


class ProviderView(LazyModel):
    """A provider's status for this workspace. `use_own_key`: the key that is in fact used; without a preference, the
    newest active one. `is_offered`: the platform itself has access."""

    id: str
    enabled: bool
    priority: int
    kinds: list[str]
    health: Literal["healthy", "degraded", "down", "unknown"]
    has_key: bool
    use_own_key: str | None
    platform_fallback: bool
    is_offered: bool


class ProvidersView(LazyModel):
    """All providers, the most preferred first."""

    providers: list[ProviderView]
    version: int = Field(description="Counts the changes of the preferences.")


def key_view(key: ProviderKey) -> ProviderKeyView:
    """The API's view of a key."""
    test = key.last_test
    return ProviderKeyView(
        id=key.id,
        provider=key.provider,
        key_name=key.name,
        last_four=key.last_four,
        is_active=key.is_active,
        base_url=key.base_url,
        models=[ServedModel.model_validate({"name": model.name, "kind": model.kind}) for model in key.models],
        created_at=key.created_at,
        last_used_at=key.last_used_at,
        last_test=KeyTestView(ok=test.ok, error_class=test.error_class, at=test.at) if test else None,
    )


def test_view(check: KeyCheck) -> TestedView:
    """The API's view of a test."""
    test = check.test
    return TestedView(ok=test.ok, error_class=test.error_class, at=test.at, message=check.message)


def providers_view(settings: ProviderSettings) -> ProvidersView:
    """The API's view of all providers."""
    views = [
        {
            "id": each.preference.provider,
            "enabled": each.preference.enabled,
            "priority": each.preference.priority,
            "kinds": list(each.kinds),
            "health": each.health,
            "has_key": each.has_key,
            "use_own_key": each.preference.own_key_id,
            "platform_fallback": each.preference.platform_fallback,
            "is_offered": each.is_offered,
        }
        for each in settings.providers
    ]
    return ProvidersView.model_validate({"providers": views, "version": settings.version})
