"""Settings: one frozen model per concern, read from the environment by `wiring/` when first needed.

This is the only module that reads `os.environ`. A function is given just the variables it uses, so a concern that is
not asked for is never validated.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Base: fields take their value from the environment variable named as alias."""

    # A missing variable is reported without the others' values: the environment holds the role's credentials.
    # Built when first read: a function reads few of them.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)

    @classmethod
    @cache
    def read(cls) -> Self:
        """The settings of this process; raises pydantic.ValidationError that names the missing variable."""
        return cls.model_validate(dict(os.environ))


class Deployment(Settings):
    """Where this deployment lives. `public_url` has no trailing slash."""

    stage: str = Field(alias="ATELIER_STAGE")
    public_url: str = Field(alias="ATELIER_PUBLIC_URL")


class IdentityTable(Settings):
    name: str = Field(alias="ATELIER_TABLE_IDENTITY")


class LedgerTable(Settings):
    name: str = Field(alias="ATELIER_TABLE_LEDGER")


class GenerationsTable(Settings):
    name: str = Field(alias="ATELIER_TABLE_GENERATIONS")


class LibraryTable(Settings):
    name: str = Field(alias="ATELIER_TABLE_LIBRARY")


class InboxTable(Settings):
    name: str = Field(alias="ATELIER_TABLE_INBOX")


class ProvidersTable(Settings):
    name: str = Field(alias="ATELIER_TABLE_PROVIDERS")


class RequestsTable(Settings):
    name: str = Field(alias="ATELIER_TABLE_REQUESTS")


class MediaStore(Settings):
    bucket: str = Field(alias="ATELIER_MEDIA_BUCKET")


class AwsPlace(Settings):
    """Where AWS is, as Lambda says it; an endpoint only where it is not AWS's own."""

    region: str = Field(alias="AWS_REGION")
    endpoint_url: str = Field(alias="AWS_ENDPOINT_URL", default="")


class MediaSigning(Settings):
    secret: str = Field(alias="ATELIER_SECRET_MEDIA")
    key_pair_id: str = Field(alias="ATELIER_MEDIA_KEY_PAIR_ID")


class IdentitySigning(Settings):
    secret: str = Field(alias="ATELIER_SECRET_IDENTITY")


class AttemptSigning(Settings):
    secret: str = Field(alias="ATELIER_SECRET_ATTEMPTS")


class AttemptsQueue(Settings):
    url: str = Field(alias="ATELIER_ATTEMPTS_QUEUE_URL")


class ResetsQueue(Settings):
    url: str = Field(alias="ATELIER_RESETS_QUEUE_URL")


class EventBus(Settings):
    name: str = Field(alias="ATELIER_EVENT_BUS")


class GenerateMedia(Settings):
    """The state machine that coordinates one generation."""

    arn: str = Field(alias="ATELIER_GENERATE_MEDIA_ARN")


class RunPipeline(Settings):
    """The state machine that coordinates the stages of one run."""

    arn: str = Field(alias="ATELIER_RUN_PIPELINE_ARN")


class ProviderSecrets(Settings):
    """The platform's access to providers: {"openai": {"api_key": …}, …}."""

    secret: str = Field(alias="ATELIER_SECRET_PROVIDERS")


class ProviderUrls(Settings):
    """Where providers are that are not where they usually are: `openai=https://…,fal=https://…`."""

    written: str = Field(alias="ATELIER_PROVIDER_URLS", default="")

    def by_provider(self) -> dict[str, str]:
        """Base URLs by provider."""
        pairs = (pair.strip().partition("=") for pair in self.written.split(",") if pair.strip())
        return {provider: url for provider, _, url in pairs}


class ProviderLimits(Settings):
    """How often providers may be asked, where the catalogue's limits are not what is meant: requests in a minute, or in
    so many seconds, by provider, and by `provider@own` for each own key: `openai=500,openai@own=60,stability=99/10`."""

    written: str = Field(alias="ATELIER_PROVIDER_LIMITS", default="")

    def by_access(self) -> dict[str, str]:
        """Limits as they are written, by provider or `provider@own`."""
        pairs = (pair.strip().partition("=") for pair in self.written.split(",") if pair.strip())
        return {access: limit for access, _, limit in pairs}


class ProviderKeys(Settings):
    """What seals workspaces' own keys: a secret with master keys, or a KMS key where its ARN is given."""

    secret: str = Field(alias="ATELIER_SECRET_PROVIDER_KEYS")
    kms_arn: str = Field(alias="ATELIER_PROVIDER_KEYS_KMS", default="")


class Providers(Settings):
    """Which providers may be chosen, comma separated."""

    enabled: str = Field(alias="ATELIER_PROVIDERS", default="local")


class Moderation(Settings):
    """Who is asked beside the blocklist (empty = nobody), what is refused beside what always is, comma separated, and
    what becomes of a request or a result when nobody answers."""

    by: Literal["", "openai"] = Field(alias="ATELIER_MODERATOR", default="")
    categories: str = Field(alias="ATELIER_MODERATION_CATEGORIES", default="")
    unanswered: Literal["allow", "refuse"] = Field(alias="ATELIER_MODERATION_UNANSWERED", default="allow")


class GenerationTimes(Settings):
    """How long a generation may live at most, and when an attempt is first asked about."""

    lifetime_seconds_max: int = Field(alias="ATELIER_GENERATION_DEADLINE_SECONDS", default=7200, ge=1, le=7200)
    poll_seconds: int = Field(alias="ATELIER_ATTEMPT_POLL_SECONDS", default=5, ge=1, le=900)


class SigningSecrets(Settings):
    """The secrets that the first deployment fills."""

    identity: str = Field(alias="ATELIER_SECRET_IDENTITY")
    media: str = Field(alias="ATELIER_SECRET_MEDIA")
    attempts: str = Field(alias="ATELIER_SECRET_ATTEMPTS")
    edge: str = Field(alias="ATELIER_SECRET_EDGE")
    provider_keys: str = Field(alias="ATELIER_SECRET_PROVIDER_KEYS")


class EdgeKey(Settings):
    """The SHA-256 digest, in hex, of the key that only the edge has; empty = whoever calls is the edge (tests)."""

    digest: str = Field(alias="ATELIER_EDGE_KEY_DIGEST", default="")


class RateLimits(Settings):
    """How many requests a subject (an account, or an address without one) may make in a minute, and how many attempts
    to sign up or log in there may be in 5 minutes for one e-mail and from one address."""

    requests_per_minute: int = Field(alias="ATELIER_RATE_REQUESTS_PER_MINUTE", default=600, ge=1)
    sign_ins_per_account: int = Field(alias="ATELIER_RATE_SIGN_INS_PER_ACCOUNT", default=10, ge=1)
    sign_ins_per_address: int = Field(alias="ATELIER_RATE_SIGN_INS_PER_ADDRESS", default=30, ge=1)
