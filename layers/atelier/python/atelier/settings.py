"""Settings: one frozen value per concern, read from the environment by `wiring/` when first needed.

This is the only module that reads `os.environ`. A function is given just the variables it uses, so a concern that is
not asked for is never looked at. Plain Python: as pydantic models these were a tenth of every cold start.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Self

from atelier.frozen import dataclass


class InvalidSettings(ValueError):
    """Variables that are missing or cannot be meant, by name. Never their values: some are secret."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the environment; a number where it has a `minimum`, one of the `choices` where there are some."""

    name: str
    default: Any = None
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()

    def value(self, environment: Mapping[str, str]) -> Any:
        """What it says; raises InvalidSettings."""
        text = environment.get(self.name)
        if text is None:
            if self.default is None:
                raise InvalidSettings(f"{self.name} is missing")
            return self.default
        if self.choices and text not in self.choices:
            raise InvalidSettings(f"{self.name} is none of {self.choices}")
        return text if self.minimum is None else self._number(text, self.minimum)

    def _number(self, text: str, minimum: int) -> int:
        try:
            number = int(text)
        except ValueError:
            number = minimum - 1
        if number < minimum or (self.maximum is not None and number > self.maximum):
            most = "" if self.maximum is None else f" and at most {self.maximum}"
            raise InvalidSettings(f"{self.name} is no number of at least {minimum}{most}")
        return number


def text(name: str, default: str | None = None, choices: tuple[str, ...] = ()) -> Any:
    """A field whose value is the text of a variable; without a default it must be there."""
    return Variable(name, default, choices=choices)


def number(name: str, default: int, *, minimum: int, maximum: int | None = None) -> Any:
    """A field whose value is a whole number."""
    return Variable(name, default, minimum, maximum)


class Settings:
    """Base: fields take their value from the environment variable that they are declared with."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        values: dict[str, Any] = {}
        wrong: list[str] = []
        for field, variable in vars(type(self)).items():
            if isinstance(variable, Variable):
                try:
                    values[field] = variable.value(environment)
                except InvalidSettings as error:
                    wrong.append(str(error))
        if wrong:
            raise InvalidSettings("; ".join(wrong))
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"settings do not change: {name}")

    @classmethod
    @cache
    def read(cls) -> Self:
        """The settings of this process; raises InvalidSettings."""
        return cls(os.environ)


class Deployment(Settings):
    """Where this deployment lives. `public_url` has no trailing slash."""

    stage: str = text("ATELIER_STAGE")
    public_url: str = text("ATELIER_PUBLIC_URL")


class IdentityTable(Settings):
    name: str = text("ATELIER_TABLE_IDENTITY")


class LedgerTable(Settings):
    name: str = text("ATELIER_TABLE_LEDGER")


class GenerationsTable(Settings):
    name: str = text("ATELIER_TABLE_GENERATIONS")


class LibraryTable(Settings):
    name: str = text("ATELIER_TABLE_LIBRARY")


class InboxTable(Settings):
    name: str = text("ATELIER_TABLE_INBOX")


class ProvidersTable(Settings):
    name: str = text("ATELIER_TABLE_PROVIDERS")


class RequestsTable(Settings):
    name: str = text("ATELIER_TABLE_REQUESTS")


class MediaStore(Settings):
    bucket: str = text("ATELIER_MEDIA_BUCKET")


class AwsPlace(Settings):
    """Where AWS is, as Lambda says it; an endpoint only where it is not AWS's own."""

    region: str = text("AWS_REGION")
    endpoint_url: str = text("AWS_ENDPOINT_URL", "")


class MediaSigning(Settings):
    secret: str = text("ATELIER_SECRET_MEDIA")
    key_pair_id: str = text("ATELIER_MEDIA_KEY_PAIR_ID")


class IdentitySigning(Settings):
    secret: str = text("ATELIER_SECRET_IDENTITY")


class AttemptSigning(Settings):
    secret: str = text("ATELIER_SECRET_ATTEMPTS")


class AttemptsQueue(Settings):
    url: str = text("ATELIER_ATTEMPTS_QUEUE_URL")


class ResetsQueue(Settings):
    url: str = text("ATELIER_RESETS_QUEUE_URL")


class EventBus(Settings):
    name: str = text("ATELIER_EVENT_BUS")


class GenerateMedia(Settings):
    """The state machine that coordinates one generation."""

    arn: str = text("ATELIER_GENERATE_MEDIA_ARN")


class RunPipeline(Settings):
    """The state machine that coordinates the stages of one run."""

    arn: str = text("ATELIER_RUN_PIPELINE_ARN")


class ProviderSecrets(Settings):
    """The platform's access to providers: {"openai": {"api_key": …}, …}."""

    secret: str = text("ATELIER_SECRET_PROVIDERS")


class ProviderUrls(Settings):
    """Where providers are that are not where they usually are: `openai=https://…,fal=https://…`."""

    written: str = text("ATELIER_PROVIDER_URLS", "")

    def by_provider(self) -> dict[str, str]:
        """Base URLs by provider."""
        pairs = (pair.strip().partition("=") for pair in self.written.split(",") if pair.strip())
        return {provider: url for provider, _, url in pairs}


class ProviderLimits(Settings):
    """How often providers may be asked, where the catalogue's limits are not what is meant: requests in a minute, or in
    so many seconds, by provider, and by `provider@own` for each own key: `openai=500,openai@own=60,stability=99/10`."""

    written: str = text("ATELIER_PROVIDER_LIMITS", "")

    def by_access(self) -> dict[str, str]:
        """Limits as they are written, by provider or `provider@own`."""
        pairs = (pair.strip().partition("=") for pair in self.written.split(",") if pair.strip())
        return {access: limit for access, _, limit in pairs}


class ProviderKeys(Settings):
    """What seals workspaces' own keys: a secret with master keys, or a KMS key where its ARN is given."""

    secret: str = text("ATELIER_SECRET_PROVIDER_KEYS")
    kms_arn: str = text("ATELIER_PROVIDER_KEYS_KMS", "")


class Providers(Settings):
    """Which providers may be chosen, comma separated."""

    enabled: str = text("ATELIER_PROVIDERS", "local")


class DailyCredits(Settings):
    """Who is given daily credits: `everyone`, or accounts with a `verified` mailbox. Where a deployment does not say,
    verified ones as soon as a provider may be chosen that costs it money."""

    given_to: Literal["", "everyone", "verified"] = text("ATELIER_DAILY_CREDITS", "", ("", "everyone", "verified"))
    providers: str = text("ATELIER_PROVIDERS", "local")

    @property
    def verified_only(self) -> bool:
        """Whether daily credits are given to verified mailboxes only."""
        costly = {provider.strip() for provider in self.providers.split(",")} - {"", "local"}
        return self.given_to == "verified" or (self.given_to == "" and bool(costly))


class Moderation(Settings):
    """Who is asked beside the blocklist (empty = nobody), what is refused beside what always is, comma separated, and
    what becomes of a request or a result when nobody answers."""

    by: Literal["", "openai"] = text("ATELIER_MODERATOR", "", ("", "openai"))
    categories: str = text("ATELIER_MODERATION_CATEGORIES", "")
    unanswered: Literal["allow", "refuse"] = text("ATELIER_MODERATION_UNANSWERED", "allow", ("allow", "refuse"))


class GenerationTimes(Settings):
    """How long a generation may live at most, and when an attempt is first asked about."""

    lifetime_seconds_max: int = number("ATELIER_GENERATION_DEADLINE_SECONDS", 7200, minimum=1, maximum=7200)
    poll_seconds: int = number("ATELIER_ATTEMPT_POLL_SECONDS", 5, minimum=1, maximum=900)


class Waiting(Settings):
    """How many requests of one account may wait for their results at once."""

    at_once: int = number("ATELIER_WAITS_AT_ONCE", 8, minimum=1)


class SigningSecrets(Settings):
    """The secrets that the first deployment fills."""

    identity: str = text("ATELIER_SECRET_IDENTITY")
    media: str = text("ATELIER_SECRET_MEDIA")
    attempts: str = text("ATELIER_SECRET_ATTEMPTS")
    edge: str = text("ATELIER_SECRET_EDGE")
    provider_keys: str = text("ATELIER_SECRET_PROVIDER_KEYS")


class EdgeKey(Settings):
    """The SHA-256 digest, in hex, of the key that only the edge has; empty = whoever calls is the edge (tests)."""

    digest: str = text("ATELIER_EDGE_KEY_DIGEST", "")


class FrontendOrigins(Settings):
    """Origins of web pages that may call this deployment from a browser, beside its own: `https://app.example.com`,
    comma separated. `:*` in place of a port means any port: `http://localhost:*`."""

    written: str = text("ATELIER_FRONTEND_ORIGINS", "")

    def allow(self, origin: str) -> bool:
        """Whether an `Origin` header names one of them."""
        named = [each.strip() for each in self.written.split(",")]
        base, colon, port = origin.rpartition(":")
        any_port = f"{base}:*" if colon and port.isascii() and port.isdigit() else f"{origin}:*"
        return bool(origin) and (origin in named or any_port in named)


class RateLimits(Settings):
    """How many requests a subject (an account, or an address without one) may make in a minute, and how many attempts
    to sign up or log in there may be in 5 minutes for one e-mail and from one address; and sign-ups in a day from one
    address (an IPv4 address, an IPv6 /64), from its surroundings (/24 and /48) and for one mailbox."""

    requests_per_minute: int = number("ATELIER_RATE_REQUESTS_PER_MINUTE", 600, minimum=1)
    sign_ins_per_account: int = number("ATELIER_RATE_SIGN_INS_PER_ACCOUNT", 10, minimum=1)
    sign_ins_per_address: int = number("ATELIER_RATE_SIGN_INS_PER_ADDRESS", 30, minimum=1)
    sign_ups_per_address: int = number("ATELIER_RATE_SIGN_UPS_PER_ADDRESS", 20, minimum=1)
