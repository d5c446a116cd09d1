"""Settings: one immutable object per concern, read from the environment by `wiring/` when first needed.

This is the only module that reads `os.environ`. Not every function has every variable (template.yaml: those of Globals,
and its own), so each class is read on its own and only on demand. Plain Python: as pydantic models these classes took a
tenth of every cold start.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Self

from atelier.dataclass import dataclass


class InvalidSettings(ValueError):
    """Environment variables that are missing or invalid. The message has their names, never their values: some are
    secret."""


@dataclass(frozen=True, slots=True)
class EnvironmentVariable:
    """One environment variable. With a `minimum` its value is a whole number; with `choices` it is one of them; with
    neither any text. Without a default it is required."""

    name: str
    default: Any = None
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()

    def value(self, environment: Mapping[str, str]) -> Any:
        """The variable's value in `environment`, or the default; raises InvalidSettings."""
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


def text_variable(name: str, default: str | None = None, choices: tuple[str, ...] = ()) -> Any:
    """Declare a field whose value is the text of the variable `name`; without a default the variable is required."""
    return EnvironmentVariable(name, default, choices=choices)


def number_variable(name: str, default: int, *, minimum: int, maximum: int | None = None) -> Any:
    """Declare a field whose value is the whole number in the variable `name`."""
    return EnvironmentVariable(name, default, minimum, maximum)


def _names(text: str) -> tuple[str, ...]:
    """The names in a comma-separated list; empty ones are left out."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _pairs(text: str) -> dict[str, str]:
    """The mapping in a list `name=value,name=value`."""
    pairs = (pair.strip().partition("=") for pair in text.split(",") if pair.strip())
    return {name: value for name, _, value in pairs}


class EnvironmentSettings:
    """Base class: each field declared by `text_variable` or `number_variable` gets the value of its environment
    variable. Raises InvalidSettings with everything that is missing or invalid."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        values: dict[str, Any] = {}
        wrong: list[str] = []
        for field, variable in vars(type(self)).items():
            if isinstance(variable, EnvironmentVariable):
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


class Deployment(EnvironmentSettings):
    """The stage and the public address of this deployment. `public_url` has no trailing slash."""

    stage: str = text_variable("ATELIER_STAGE")
    public_url: str = text_variable("ATELIER_PUBLIC_URL")


class IdentityTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_IDENTITY")


class LedgerTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_LEDGER")


class GenerationsTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_GENERATIONS")


class LibraryTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_LIBRARY")


class InboxTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_INBOX")


class ProvidersTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_PROVIDERS")


class BillingTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_BILLING")


class AuditTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_AUDIT")


class AuditArchive(EnvironmentSettings):
    """The bucket of archived audit events, and how long events stay in the table at least."""

    bucket: str = text_variable("ATELIER_AUDIT_BUCKET")
    retention_days: int = number_variable("ATELIER_AUDIT_RETENTION_DAYS", 400, minimum=30)


class RequestsTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_REQUESTS")


class MediaBucket(EnvironmentSettings):
    bucket: str = text_variable("ATELIER_MEDIA_BUCKET")


class AwsEndpoint(EnvironmentSettings):
    """The AWS region, which Lambda sets, and the endpoint of an emulator (empty = AWS's own endpoints)."""

    region: str = text_variable("AWS_REGION")
    endpoint_url: str = text_variable("AWS_ENDPOINT_URL", "")


class MediaSigning(EnvironmentSettings):
    secret: str = text_variable("ATELIER_SECRET_MEDIA")
    key_pair_id: str = text_variable("ATELIER_MEDIA_KEY_PAIR_ID")


class IdentitySigning(EnvironmentSettings):
    secret: str = text_variable("ATELIER_SECRET_IDENTITY")


class LinkSigning(EnvironmentSettings):
    """The secret with the key from which links and codes in mails are made."""

    secret: str = text_variable("ATELIER_SECRET_LINKS")


class MailSending(EnvironmentSettings):
    """The sender of mails, `mail@example.com` (empty = no mail is sent), where SES reports bounces and
    complaints (empty = nowhere), and how many mails are sent in a second."""

    sender: str = text_variable("ATELIER_MAIL_FROM", "")
    configuration_set: str = text_variable("ATELIER_MAIL_CONFIGURATION_SET", "")
    per_second: int = number_variable("ATELIER_MAILS_PER_SECOND", 10, minimum=1)


class AttemptSigning(EnvironmentSettings):
    secret: str = text_variable("ATELIER_SECRET_ATTEMPTS")


class AttemptsQueue(EnvironmentSettings):
    url: str = text_variable("ATELIER_ATTEMPTS_QUEUE_URL")


class ResetsQueue(EnvironmentSettings):
    url: str = text_variable("ATELIER_RESETS_QUEUE_URL")


class BillingEventsQueue(EnvironmentSettings):
    url: str = text_variable("ATELIER_BILLING_EVENTS_QUEUE_URL")


class EventBus(EnvironmentSettings):
    name: str = text_variable("ATELIER_EVENT_BUS")


class GenerateMedia(EnvironmentSettings):
    """The state machine that coordinates one generation."""

    arn: str = text_variable("ATELIER_GENERATE_MEDIA_ARN")


class RunPipeline(EnvironmentSettings):
    """The state machine that coordinates the stages of one run."""

    arn: str = text_variable("ATELIER_RUN_PIPELINE_ARN")


class ProviderSecrets(EnvironmentSettings):
    """The id of the secret with the platform's own keys of providers: {"openai": {"api_key": …}, …}."""

    secret: str = text_variable("ATELIER_SECRET_PROVIDERS")


class Payments(EnvironmentSettings):
    """Who takes payments (empty = nothing is sold), and the secret with the access to it. `stripe_url`: the base URL of
    Stripe's API, empty = Stripe's own. `test_clocks`: whether each new customer gets a test clock of Stripe."""

    service: Literal["", "stripe"] = text_variable("ATELIER_PAYMENTS", "", ("", "stripe"))
    secret: str = text_variable("ATELIER_SECRET_STRIPE")
    stripe_url: str = text_variable("ATELIER_STRIPE_URL", "")
    test_clocks: Literal["", "each-customer"] = text_variable("ATELIER_STRIPE_TEST_CLOCKS", "", ("", "each-customer"))

    @property
    def services(self) -> tuple[str, ...]:
        """The service that takes payments, if there is one."""
        return (self.service,) if self.service else ()


class ProviderUrls(EnvironmentSettings):
    """Base-URL overrides by provider: `openai=https://…,fal=https://…`."""

    raw: str = text_variable("ATELIER_PROVIDER_URLS", "")
    stage: str = text_variable("ATELIER_STAGE", "")

    @property
    def simulator_hosts(self) -> frozenset[str]:
        """`host:port` of the overrides, the only loopback addresses that may be called; empty unless the stage is a
        developer's machine."""
        if self.stage != "local":
            return frozenset()
        from urllib.parse import urlsplit

        return frozenset(urlsplit(url).netloc for url in self.by_provider().values())

    def by_provider(self) -> dict[str, str]:
        """The overrides as a mapping from provider to base URL."""
        return _pairs(self.raw)


class OAuth(EnvironmentSettings):
    """Identity providers: the secret with our registration at each, {"google": {"client_id": …, "client_secret": …},
    …}; one that it does not name is off. `urls`: base-URL overrides, for simulators: `google=http://…,github=http://…`.
    A simulator may be called without TLS, on a developer's machine alone."""

    secret: str = text_variable("ATELIER_SECRET_OAUTH")
    urls: str = text_variable("ATELIER_OAUTH_URLS", "")
    stage: str = text_variable("ATELIER_STAGE", "")

    @property
    def allows_http(self) -> bool:
        """Whether a provider may be called without TLS."""
        return self.stage == "local"

    def url_by_provider(self) -> dict[str, str]:
        """The overrides as a mapping from provider to base URL."""
        return _pairs(self.urls)


class ProviderLimits(EnvironmentSettings):
    """Overrides of the catalogue's rate limits: requests per minute (`500`), or per number of seconds (`99/10` = 99 in
    10 s). By provider for the platform's key; by `provider@own` for each key that a workspace brings:
    `openai=500,openai@own=60,stability=99/10`."""

    raw: str = text_variable("ATELIER_PROVIDER_LIMITS", "")

    def by_access(self) -> dict[str, str]:
        """The limits as written in the variable, by provider or `provider@own`."""
        return _pairs(self.raw)


class ProviderKeySecret(EnvironmentSettings):
    """The master keys that encrypt workspaces' own provider keys: a secret that contains them, or, where `kms_arn` is
    set, a KMS key."""

    secret: str = text_variable("ATELIER_SECRET_PROVIDER_KEYS")
    kms_arn: str = text_variable("ATELIER_PROVIDER_KEYS_KMS", "")


class Providers(EnvironmentSettings):
    """The enabled providers, comma separated."""

    enabled: str = text_variable("ATELIER_PROVIDERS", "local")

    @property
    def ids(self) -> frozenset[str]:
        """The ids of the enabled providers."""
        return frozenset(_names(self.enabled))


class DailyCredits(EnvironmentSettings):
    """The accounts that get daily credits: `everyone`, or those with a `verified` e-mail address. Empty means
    `verified` as soon as a provider is enabled that costs the deployment money, else `everyone`."""

    recipients: Literal["", "everyone", "verified"] = text_variable(
        "ATELIER_DAILY_CREDITS", "", ("", "everyone", "verified")
    )
    providers: str = text_variable("ATELIER_PROVIDERS", "local")

    @property
    def verified_only(self) -> bool:
        """Whether only accounts with a verified e-mail address get daily credits."""
        costly = {provider.strip() for provider in self.providers.split(",")} - {"", "local"}
        return self.recipients == "verified" or (self.recipients == "" and bool(costly))


class Moderation(EnvironmentSettings):
    """Moderation. `service`: the service that judges texts and images after the blocklist (empty = none). `categories`:
    refused in addition to those that are always refused, comma separated. `when_unanswered`: what happens to a request
    or result when the service does not answer."""

    service: Literal["", "openai"] = text_variable("ATELIER_MODERATOR", "", ("", "openai"))
    categories: str = text_variable("ATELIER_MODERATION_CATEGORIES", "")
    when_unanswered: Literal["allow", "refuse"] = text_variable(
        "ATELIER_MODERATION_UNANSWERED", "allow", ("allow", "refuse")
    )

    @property
    def category_names(self) -> tuple[str, ...]:
        """The names in `categories`."""
        return _names(self.categories)


class GenerationTimes(EnvironmentSettings):
    """The longest time that a generation may take, and the time until the first poll of an attempt, both in seconds."""

    lifetime_seconds_max: int = number_variable("ATELIER_GENERATION_DEADLINE_SECONDS", 7200, minimum=1, maximum=7200)
    poll_seconds: int = number_variable("ATELIER_ATTEMPT_POLL_SECONDS", 5, minimum=1, maximum=900)


class WaitLimits(EnvironmentSettings):
    """The number of requests of one account that may wait for their results at the same time."""

    concurrent_waits_max: int = number_variable("ATELIER_WAITS_AT_ONCE", 8, minimum=1)


class SigningSecrets(EnvironmentSettings):
    """The ids of the secrets whose values are created at the first deployment."""

    identity: str = text_variable("ATELIER_SECRET_IDENTITY")
    media: str = text_variable("ATELIER_SECRET_MEDIA")
    attempts: str = text_variable("ATELIER_SECRET_ATTEMPTS")
    edge: str = text_variable("ATELIER_SECRET_EDGE")
    provider_keys: str = text_variable("ATELIER_SECRET_PROVIDER_KEYS")
    links: str = text_variable("ATELIER_SECRET_LINKS")


class EdgeKey(EnvironmentSettings):
    """The SHA-256 digest, in hex, of the key that only the edge (CloudFront) knows. Empty = every caller counts as the
    edge, for tests."""

    digest: str = text_variable("ATELIER_EDGE_KEY_DIGEST", "")


class FrontendOrigins(EnvironmentSettings):
    """Origins whose web pages may call this deployment from a browser, in addition to its own:
    `https://app.example.com`, comma separated. `:*` in place of a port means any port: `http://localhost:*`."""

    raw: str = text_variable("ATELIER_FRONTEND_ORIGINS", "")

    def allow(self, origin: str, *, own: str) -> bool:
        """Whether the value of an `Origin` header is one of these origins, or the deployment's own."""
        origins = [each.strip() for each in self.raw.split(",")]
        base, colon, port = origin.rpartition(":")
        any_port = f"{base}:*" if colon and port.isascii() and port.isdigit() else f"{origin}:*"
        return bool(origin) and (origin == own or origin in origins or any_port in origins)


class CallerRateLimits(EnvironmentSettings):
    """Rate limits of callers.

    requests_per_minute: of one account, or of one address without an account. sign_ins_per_account and
    sign_ins_per_address: attempts to sign up or log in within 5 minutes, for one e-mail and from one address.
    sign_ups_per_address: sign-ups in a day from one address (an IPv4 address or an IPv6 /64); the limits of the
    surrounding block (/24 or /48) and of one mailbox are in `identity/rate_limit.py`. mails_per_address: mails in an
    hour that requests from one address cause; the limits of one recipient are in `identity/mail_limits.py`."""

    requests_per_minute: int = number_variable("ATELIER_RATE_REQUESTS_PER_MINUTE", 600, minimum=1)
    sign_ins_per_account: int = number_variable("ATELIER_RATE_SIGN_INS_PER_ACCOUNT", 10, minimum=1)
    sign_ins_per_address: int = number_variable("ATELIER_RATE_SIGN_INS_PER_ADDRESS", 30, minimum=1)
    sign_ups_per_address: int = number_variable("ATELIER_RATE_SIGN_UPS_PER_ADDRESS", 20, minimum=1)
    mails_per_address: int = number_variable("ATELIER_RATE_MAILS_PER_ADDRESS", 20, minimum=1)
