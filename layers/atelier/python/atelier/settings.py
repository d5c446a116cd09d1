"""Settings: one immutable object per concern, read from the environment by `wiring/` when first needed.

Nothing else reads the environment (`environment.py` does it for this module). Not every function has every variable
(template.yaml: those of Globals, and its own), so each class is read on its own and only on demand.
"""

from __future__ import annotations

from typing import Literal

from atelier.environment import EnvironmentSettings, names_in, number_variable, pairs_in, text_variable


class Deployment(EnvironmentSettings):
    """The stage and the public address of this deployment. `public_url` has no trailing slash."""

    stage: str = text_variable("ATELIER_STAGE")
    public_url: str = text_variable("ATELIER_PUBLIC_URL")


class ErrorTracking(EnvironmentSettings):
    """Where errors are reported to: the DSN of a project of Sentry."""

    dsn: str = text_variable("ATELIER_SENTRY_DSN")


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


class RealtimeTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_REALTIME")


class WebSocketGateway(EnvironmentSettings):
    """The gateway of connections: the URL of its stage, with https."""

    url: str = text_variable("ATELIER_WEBSOCKET_URL")


class ProvidersTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_PROVIDERS")


class BillingTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_BILLING")


class AuditTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_AUDIT")


class AnalyticsTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_ANALYTICS")


class ExportsTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_EXPORTS")


class SitesTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_SITES")


class NotificationsTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_NOTIFICATIONS")


class BackupsTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_BACKUPS")


class Backups(EnvironmentSettings):
    """Backups: their bucket, how tables are read, for how many days their files are locked (0 = not at all), and the
    secret with the key that signs them. `stack`: the deployment's name in CloudFormation."""

    bucket: str = text_variable("ATELIER_BACKUPS_BUCKET")
    method: Literal["segments", "point-in-time"] = text_variable(
        "ATELIER_BACKUP_METHOD", "point-in-time", ("segments", "point-in-time")
    )
    lock_days: int = number_variable("ATELIER_BACKUP_LOCK_DAYS", 0, minimum=0)
    secret: str = text_variable("ATELIER_SECRET_BACKUPS")
    stack: str = text_variable("ATELIER_STACK")


class Recovery(EnvironmentSettings):
    """The public key for which a backup's secrets are encrypted, `age1…`; empty = they are not in backups. `bucket`:
    of backups. `stack`: the deployment's name in CloudFormation."""

    key: str = text_variable("ATELIER_RECOVERY_KEY", "")
    bucket: str = text_variable("ATELIER_BACKUPS_BUCKET")
    stack: str = text_variable("ATELIER_STACK")

    @property
    def keys(self) -> tuple[str, ...]:
        """The key, if there is one."""
        return (self.key,) if self.key else ()


class ExportsBucket(EnvironmentSettings):
    name: str = text_variable("ATELIER_EXPORTS_BUCKET")


class EventsBucket(EnvironmentSettings):  # the files for analysts
    name: str = text_variable("ATELIER_EVENTS_BUCKET")


class ExportMachine(EnvironmentSettings):
    """The state machine that writes exports."""

    arn: str = text_variable("ATELIER_WRITE_EXPORT_ARN")


class ErasuresTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_ERASURES")


class EraseMachine(EnvironmentSettings):
    """The state machine that erases accounts and organisations."""

    arn: str = text_variable("ATELIER_ERASE_ARN")


class WholeExportMachine(EnvironmentSettings):
    """The state machine that writes exports of everything."""

    arn: str = text_variable("ATELIER_WRITE_WHOLE_EXPORT_ARN")


class AdjustmentLimits(EnvironmentSettings):
    """How many credits one administrator may adjust in a day without a second one."""

    alone_credits_max: int = number_variable("ATELIER_ADJUSTMENT_CREDITS_MAX", 1000, minimum=0)


class AuditArchive(EnvironmentSettings):
    """The bucket of archived audit events, and how long events stay in the table at least."""

    bucket: str = text_variable("ATELIER_AUDIT_BUCKET")
    retention_days: int = number_variable("ATELIER_AUDIT_RETENTION_DAYS", 400, minimum=30)


class RequestsTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_REQUESTS")


class SitesBucket(EnvironmentSettings):
    name: str = text_variable("ATELIER_SITES_BUCKET")


class DeploySiteMachine(EnvironmentSettings):
    """The state machine of deployments."""

    arn: str = text_variable("ATELIER_DEPLOY_SITE_ARN")


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


class DeadLetterQueues(EnvironmentSettings):
    """The URLs of the queues of dead letters, and of those from which they came: `attempts=https://…,resets=https://…`."""

    raw: str = text_variable("ATELIER_DEAD_LETTERS")
    raw_sources: str = text_variable("ATELIER_DEAD_LETTER_SOURCES")

    def dead(self) -> dict[str, str]:
        """The queues of dead letters, by name."""
        return pairs_in(self.raw)

    def sources(self) -> dict[str, str]:
        """The queues from which they came, by the same names."""
        return pairs_in(self.raw_sources)


class DeploymentStack(EnvironmentSettings):
    """The stack with which the names of the deployment's resources begin."""

    name: str = text_variable("ATELIER_STACK")
    api_id: str = text_variable("ATELIER_API_ID", "")


class Jobs(EnvironmentSettings):
    """The functions that schedules run, by the names of their jobs: `reset-daily-credits=…,archive-audit=…`."""

    raw: str = text_variable("ATELIER_JOBS")

    def functions(self) -> dict[str, str]:
        """Job → function."""
        return pairs_in(self.raw)


class PriceSyncFunction(EnvironmentSettings):
    """The function that compares the price list with Stripe."""

    name: str = text_variable("ATELIER_SYNC_PRICES")


class UpdatesQueue(EnvironmentSettings):
    url: str = text_variable("ATELIER_UPDATES_QUEUE_URL")


class ResetsQueue(EnvironmentSettings):
    url: str = text_variable("ATELIER_RESETS_QUEUE_URL")


class BillingEventsQueue(EnvironmentSettings):
    url: str = text_variable("ATELIER_BILLING_EVENTS_QUEUE_URL")


class WebhooksTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_WEBHOOKS")


class CommunityTable(EnvironmentSettings):
    name: str = text_variable("ATELIER_TABLE_COMMUNITY")


class WebhooksQueue(EnvironmentSettings):
    url: str = text_variable("ATELIER_WEBHOOK_QUEUE_URL")


class WebhookHosts(EnvironmentSettings):
    """Hosts of a developer's machine that webhooks may be sent to, with http and at private addresses: `localhost:*`,
    `127.0.0.1:5678`, comma separated."""

    raw: str = text_variable("ATELIER_WEBHOOK_HOSTS", "")
    stage: str = text_variable("ATELIER_STAGE", "")

    @property
    def local_hosts(self) -> frozenset[str]:
        """The hosts; none unless the stage is a developer's machine."""
        return frozenset(names_in(self.raw)) if self.stage == "local" else frozenset()


class EventBus(EnvironmentSettings):
    name: str = text_variable("ATELIER_EVENT_BUS")


class GenerateMedia(EnvironmentSettings):
    """The state machine that coordinates one generation."""

    arn: str = text_variable("ATELIER_GENERATE_MEDIA_ARN")


class GenerateMediaExpress(EnvironmentSettings):
    """The Express state machine of a generation whose provider answers at once; only the outbox starts it."""

    arn: str = text_variable("ATELIER_GENERATE_MEDIA_EXPRESS_ARN", "")


class FunctionLog(EnvironmentSettings):
    """The log group of all functions; empty = nothing is looked for in it."""

    group: str = text_variable("ATELIER_LOG_GROUP", "")


class RunPipeline(EnvironmentSettings):
    """The state machine that coordinates the stages of one run."""

    arn: str = text_variable("ATELIER_RUN_PIPELINE_ARN")


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
        return pairs_in(self.urls)


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
        return names_in(self.categories)


class GenerationTimes(EnvironmentSettings):
    """The longest time that a generation may take, and the time until the first poll of an attempt, both in seconds."""

    lifetime_seconds_max: int = number_variable("ATELIER_GENERATION_DEADLINE_SECONDS", 7200, minimum=3600, maximum=7200)
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
    backups: str = text_variable("ATELIER_SECRET_BACKUPS")


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
