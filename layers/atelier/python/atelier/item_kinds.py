"""What the tables store, kind by kind: where each kind of item is in the export of a whole workspace, and what an
erasure does with it. A test demands a row for each class of items, so that a new one is not forgotten in either.

A kind is known by its table, the beginning of its partition key and the beginning of its sort key.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from atelier.dataclass import dataclass

WORKSPACE, USER = "wsp_", "usr_"


class Fate(StrEnum):
    """What an erasure does with the items of a kind."""

    DELETED = "deleted"
    # Stays, without what names a person; `why` says how.
    REDUCED = "reduced"
    # Has nothing that names a person.
    KEPT = "kept"
    # TTL deletes it, at the latest as docs/erasure.md says.
    EXPIRES = "expires"
    # Of the deployment, and of no workspace and no person.
    NOBODYS = "nobody's"


@dataclass(frozen=True, slots=True)
class ItemKind:
    """One kind of items.

    item: its class. pk, sk: how its keys begin. file: its file in an export; None = it is left out. why: the reason,
    for a reader of the export, why it is left out; and why an erasure does not delete it. without: attributes that an
    export leaves out, because they are secrets or made from secrets. json: attributes whose text is JSON."""

    item: str
    table: str
    pk: str
    sk: str
    file: str | None = None
    why: str = ""
    fate: Fate = Fate.DELETED
    without: tuple[str, ...] = ()
    json: tuple[str, ...] = ()


DELETED, REDUCED, KEPT, EXPIRES, NOBODYS = Fate
_COUNTER = "a counter of what is exported"
_TECHNICAL = "needed for some minutes by one request"
_DERIVED = "sums of the generations and credit movements, which are exported"
_SECRET = "proves who signs in"  # nosec B105 - a reason, not a password
_VENDOR = "a message of a vendor as it came, kept for 30 days; what it changed is exported"
_EVENTS = "events of the last day; what they report is exported"
_CONNECTED = "who listens now, for two hours at most"
_SHOWN = "the same as the articles and their versions"
_DEPLOYMENT = "belongs to the deployment"

# Attributes whose text is JSON.
_FILES = ("files",)
_REUSE = ("reuse_key",)
_MOVEMENT = ("entries", "facts", "hold")
_SEALED = ("record", "kid", "old_record", "old_kid")
_TYPES = ("events",)
_PART = ("parameters", "slots")
_PLACE = ("settings",)
_ARTICLE = ("tags", "asset_ids", "related_ids", "image_hosts")
_LIVESTREAM = ("tiers", "recording_ids", "recording_asset_ids", "events")
_DELIVERY = ("body", "attempts")
_GENERATION = ("recipe", "purpose", "candidates", "budgets", "attempts", "assets", "usage", "failure")

KINDS: tuple[ItemKind, ...] = (
    # ---- identity: of a person
    ItemKind("UserItem", "identity", USER, "profile", "account/profile", "a tombstone stays", REDUCED),
    ItemKind("MembershipItem", "identity", USER, "member#", "account/memberships"),
    ItemKind("SessionItem", "identity", USER, "session#", "account/sessions", without=("digest", "rotations")),
    ItemKind("LoginItem", "identity", USER, "login#", "account/external_logins", without=("digest",)),
    ItemKind("TotpItem", "identity", USER, "factor#totp", "account/authenticator", without=("record", "sealed_by")),
    ItemKind("RecoveryCodesItem", "identity", USER, "factor#recovery", "account/recovery_codes", without=("digests",)),
    ItemKind("PasskeyItem", "identity", USER, "factor#passkey#", "account/passkeys"),
    ItemKind("MailItem", "identity", USER, "mail#", "account/mails", without=("link_id",), json=("facts",)),
    ItemKind("PendingLinkItem", "identity", USER, "link#", None, _SECRET),
    ItemKind("TicketItem", "identity", USER, "ticket#", None, _SECRET),
    ItemKind("DeviceItem", "identity", USER, "device#", None, "digests of the devices, which the sessions name"),
    # ---- identity: of a workspace
    ItemKind("WorkspaceItem", "identity", WORKSPACE, "profile", "workspace/profile"),
    ItemKind("MemberItem", "identity", WORKSPACE, "member#", "workspace/members"),
    ItemKind("InvitationItem", "identity", WORKSPACE, "invitation#", "workspace/invitations", without=("request_key",)),
    ItemKind("InvitedItem", "identity", WORKSPACE, "invited#", None, "digests of the addresses in the invitations"),
    ItemKind("TokenItem", "identity", WORKSPACE, "token#", "workspace/api_tokens", without=("digest",)),
    ItemKind("TokenCountItem", "identity", WORKSPACE, "tokens", None, _COUNTER),
    ItemKind("MailItem", "identity", WORKSPACE, "mail#", "workspace/mails", without=("link_id",), json=("facts",)),
    # ---- identity: claims under other keys
    ItemKind("CredentialsItem", "identity", "email#", "credentials", None, "the hash of the password"),
    ItemKind("ReservedEmailItem", "identity", "email#", "credentials", None, "an earlier address; the log has it"),
    ItemKind("LoginClaimItem", "identity", "login#", "claim", None, "the same as the external login"),
    ItemKind("SlugItem", "identity", "slug#", "workspace", None, "as in the profile"),
    ItemKind("MailboxItem", "identity", "mailbox#", "daily-credits", None, "a digest: daily credits, once", KEPT),
    ItemKind("SuppressionItem", "identity", "address#", "suppression", None, "a digest: no mail is sent there", KEPT),
    ItemKind("DecoyItem", "identity", "address#", "", None, "written for an address without an account", EXPIRES),
    ItemKind("ChallengeItem", "identity", "challenge#", "", None, _TECHNICAL, EXPIRES),
    ItemKind("OAuthTransactionItem", "identity", "oauth#", "transaction", None, _TECHNICAL, EXPIRES),
    ItemKind("LoginProofItem", "identity", "oauth#", "proof", None, _TECHNICAL, EXPIRES),
    ItemKind("DueErasureItem", "identity", "due-erasures", "", None, "when an erasure is due"),
    ItemKind("AdminsItem", "identity", "platform", "", None, _DEPLOYMENT, NOBODYS),
    ItemKind("RevokedUsersItem", "identity", "revoked", "", None, _TECHNICAL, EXPIRES),
    # ---- audit
    ItemKind("AuditEventItem", "audit", WORKSPACE, "event#", None, "in the folder `audit`, with its proof"),
    ItemKind("AuditSealItem", "audit", WORKSPACE, "seal#", None, "in the folder `audit`"),
    ItemKind("AuditEventItem", "audit", USER, "event#", None, "in the folder `audit`, with its proof"),
    ItemKind("AuditSealItem", "audit", USER, "seal#", None, "in the folder `audit`"),
    ItemKind("AuditEventItem", "audit", "platform", "event#", None, _DEPLOYMENT, NOBODYS),
    ItemKind("AuditSealItem", "audit", "platform", "seal#", None, _DEPLOYMENT, NOBODYS),
    ItemKind("ArchiveItem", "audit", "archive#", "", None, "which months will be archived"),
    # ---- ledger
    ItemKind("WalletItem", "ledger", WORKSPACE, "wallet", "credits/wallet", "amounts alone", KEPT),
    ItemKind("MovementItem", "ledger", WORKSPACE, "movement#", "credits/statement", "amounts", KEPT, json=_MOVEMENT),
    ItemKind("OperationKeyItem", "ledger", WORKSPACE, "key#", None, "keys of the movements", KEPT),
    ItemKind("SealItem", "ledger", WORKSPACE, "seal#", None, "in the folder `credits`, as the proof", KEPT),
    ItemKind("PriceListItem", "ledger", "price-list", "published", None, _DEPLOYMENT, NOBODYS),
    # ---- generations
    ItemKind("GenerationItem", "generations", WORKSPACE, "gen_", "generations", without=_REUSE, json=_GENERATION),
    ItemKind("RecipeItem", "generations", WORKSPACE, "request#", "recipes", json=("recipe",)),
    ItemKind("CallbackItem", "generations", WORKSPACE, "callback#", None, "a handle by which a result is delivered"),
    ItemKind("RedeemedQuoteItem", "generations", WORKSPACE, "quote#", "redeemed_quotes"),
    ItemKind("PromptRefusalItem", "generations", WORKSPACE, "refusal#", "refused_requests"),
    ItemKind("FlaggedItemItem", "generations", "moderation", "mod_", None, "ids that lead to nobody", KEPT),
    ItemKind("ReuseItem", "generations", WORKSPACE, "reuse#", None, "digests of the recipes"),
    # ---- library
    ItemKind(
        "AssetItem", "library", WORKSPACE, "ast_", "assets", json=("made_from", "notes", "origin_listing_ids", "tags")
    ),
    ItemKind("DocumentItem", "library", WORKSPACE, "chr_", "characters", json=("says",)),
    ItemKind("DocumentItem", "library", WORKSPACE, "tpl_", "templates", json=("says",)),
    ItemKind("ProjectItem", "library", WORKSPACE, "prj_", "projects"),
    ItemKind("BudgetItem", "library", WORKSPACE, "budget#", "budgets", json=("thresholds",)),
    ItemKind("AlertItem", "library", WORKSPACE, "alert#", "budget_alerts"),
    ItemKind("UploadItem", "library", WORKSPACE, "upload#", "announced_uploads"),
    ItemKind("MoveItem", "library", WORKSPACE, "move#", "moved_projects", json=("unsettled", "project", "budget")),
    ItemKind("CleanUpNoticeItem", "library", WORKSPACE, "notice#archived", None, "what its mail says"),
    ItemKind("UsageItem", "library", WORKSPACE, "usage#", None, _COUNTER),
    # ---- provider keys and preferences
    ItemKind("PreferencesItem", "providers", WORKSPACE, "own#wishes", "provider_preferences"),
    ItemKind("ProviderKeyItem", "providers", WORKSPACE, "own#key_", "provider_keys", without=("record", "kid")),
    ItemKind("KeyNameItem", "providers", WORKSPACE, "own-names#", None, "digests of the names of the keys"),
    ItemKind("KeyCountItem", "providers", WORKSPACE, "own-count", None, _COUNTER),
    ItemKind("RemovedKeyItem", "providers", WORKSPACE, "own-removed#", None, "ids of removed keys"),
    ItemKind("HealthItem", "providers", "health#wsp_", "", None, "how a provider answered, for some minutes"),
    ItemKind("ProviderRateItem", "providers", "pace#wsp_", "", None, _TECHNICAL),
    ItemKind("HealthItem", "providers", "health", "", None, _DEPLOYMENT, NOBODYS),
    ItemKind("ProviderRateItem", "providers", "pace", "", None, _DEPLOYMENT, NOBODYS),
    ItemKind("RotationItem", "providers", "rotation", "", None, _DEPLOYMENT, NOBODYS),
    ItemKind("SunsetsItem", "providers", "sunsets", "", None, _DEPLOYMENT, NOBODYS),
    ItemKind("IntegrationItem", "providers", WORKSPACE, "integration#", "integrations", without=_SEALED, json=_PLACE),
    ItemKind("IntegrationCountItem", "providers", WORKSPACE, "integration-count", None, _COUNTER),
    # ---- deployments of sites
    ItemKind("DeploymentItem", "sites", WORKSPACE, "deployment#", "deployments", json=("state", "log")),
    ItemKind("DeploymentQueueItem", "sites", WORKSPACE, "deployment-queue#", None, "which deployment runs"),
    ItemKind("LiveDeploymentItem", "sites", WORKSPACE, "deployment-live#", None, "which deployment is shown"),
    # ---- notifications
    ItemKind("NotificationItem", "notifications", USER, "ntf_", "account/notifications"),
    ItemKind("NotificationPreferencesItem", "notifications", USER, "preferences", "account/choices", json=("chosen",)),
    ItemKind("UnreadCountItem", "notifications", USER, "unread", None, _COUNTER),
    ItemKind("DueMailItem", "notifications", "due#", "", None, "a mail that is due, by ids", EXPIRES),
    ItemKind("UpdateItem", "notifications", "updates", "upd_", None, _DEPLOYMENT, NOBODYS),
    ItemKind("DueUpdateItem", "notifications", "updates-due", "", None, _DEPLOYMENT, NOBODYS),
    ItemKind("UpdateShardItem", "notifications", "upd_", "shard#", None, _DEPLOYMENT, NOBODYS),
    ItemKind("UpdateCountItem", "notifications", "upd_", "count#", None, _DEPLOYMENT, NOBODYS),
    # ---- outbound webhooks
    ItemKind("WebhookEndpointItem", "webhooks", WORKSPACE, "whe_", "webhook_endpoints", without=_SEALED, json=_TYPES),
    ItemKind("WebhookDeliveryItem", "webhooks", WORKSPACE, "delivery#", "webhook_deliveries", json=_DELIVERY),
    ItemKind("WebhookSecretItem", "webhooks", WORKSPACE, "workspace-secret", None, "a secret that signs"),
    ItemKind("WebhookEndpointCountItem", "webhooks", WORKSPACE, "endpoint-count", None, _COUNTER),
    ItemKind("WebhookHealthItem", "webhooks", WORKSPACE, "health#", None, "how an endpoint answered lately"),
    ItemKind("WebhookNoticeItem", "webhooks", WORKSPACE, "notice#", None, "the endpoint says that it was disabled"),
    # ---- workshops
    ItemKind("WorkshopItem", "community", WORKSPACE, "workshop#", "workshops", json=("material_ids",)),
    ItemKind("EnrolmentItem", "community", WORKSPACE, "enrolment#", "enrolments", without=("request_key",)),
    ItemKind("WorkshopReviewItem", "community", WORKSPACE, "review#", "workshop_reviews"),
    ItemKind("ShownWorksItem", "community", WORKSPACE, "work#", "workshop_works"),
    ItemKind("WaitListItem", "community", WORKSPACE, "queue#", None, "the same as the enrolments"),
    ItemKind("WorkshopOutboxItem", "community", WORKSPACE, "outbox#", None, "events on their way"),
    ItemKind("WorkshopPlaceItem", "community", "wks_", "place", None, "ids that lead to nobody", KEPT),
    ItemKind("EnrolledItem", "community", USER, "enrolled#", "account/enrolled"),
    # ---- showcase
    ItemKind("ListingItem", "community", WORKSPACE, "listing#", "listings", json=("tags", "ancestors")),
    ItemKind("PurchaseItem", "community", WORKSPACE, "purchase#", "purchases", without=("request_key", "shares")),
    ItemKind("EarningItem", "community", WORKSPACE, "earning#", "earnings"),
    ItemKind("EarnedTotalItem", "community", WORKSPACE, "earned#", None, _COUNTER),
    ItemKind("ListingPlaceItem", "community", "lst_", "place", None, "ids that lead to nobody", KEPT),
    ItemKind("SnapshotItem", "community", "lst_", "content", None, "a copy of a work, kept for its buyers", KEPT),
    # ---- articles
    ItemKind("EditorialSettingsItem", "community", "editorial", "settings", None, _DEPLOYMENT, NOBODYS),
    ItemKind("ArticleItem", "community", WORKSPACE, "article#", "articles", json=("shown_slugs",)),
    ItemKind("ArticleVersionItem", "community", WORKSPACE, "article-version#", "article_versions", json=_ARTICLE),
    ItemKind("ShownArticleItem", "community", WORKSPACE, "shown#", None, _SHOWN),
    ItemKind("ArticleSlugItem", "community", WORKSPACE, "slug#", None, _SHOWN),
    ItemKind("TranslationItem", "community", WORKSPACE, "translation#", None, _SHOWN),
    ItemKind("ShownFileItem", "community", WORKSPACE, "shown-file#", None, _SHOWN),
    # ---- livestreams
    ItemKind("LivestreamItem", "community", WORKSPACE, "livestream#", "livestreams", json=_LIVESTREAM),
    ItemKind("ViewerCountItem", "community", WORKSPACE, "viewers#", None, _COUNTER),
    ItemKind("LivestreamPlaceItem", "community", "liv_", "place", None, "ids that lead to nobody", KEPT),
    ItemKind("ListingVisitItem", "community", "lst_", "visit", None, "when a listing is due", KEPT),
    ItemKind("ListingVisitItem", "community", "lst_", "likes#", None, "numbers of likes", KEPT),
    ItemKind("ListingOutboxItem", "community", "lst_", "outbox#", None, "events of a minute on their way", EXPIRES),
    ItemKind("ReportItem", "community", "lst_", "report#", None, "what people report to the moderators", KEPT),
    ItemKind("LikeItem", "community", USER, "like#", "account/likes"),
    ItemKind("LikeItem", "community", USER, "follow#", "account/follows"),
    ItemKind("FoundListingItem", "community", USER, "work#", None, "as in the listings"),
    ItemKind("FoundListingItem", "community", "word#", "lst_", None, "as in the listings"),
    ItemKind("FoundListingItem", "community", "tag#", "lst_", None, "as in the listings"),
    # ---- sites
    ItemKind("SiteItem", "sites", WORKSPACE, "site#", "sites", json=("theme", "settings")),
    ItemKind("SitePageCountItem", "sites", WORKSPACE, "pages#", None, _COUNTER),
    ItemKind("SiteClaimItem", "sites", "slug#", "site", None, "as in the site"),
    ItemKind("SiteClaimItem", "sites", "domain#", "site", None, "as in the site"),
    ItemKind("SitePathItem", "sites", WORKSPACE, "path#", None, "as in the page"),
    ItemKind("PageItem", "sites", WORKSPACE, "page#", "pages", json=("parts", "published_parts")),
    ItemKind("PageVersionItem", "sites", WORKSPACE, "version#", "page_versions", json=("content",)),
    ItemKind("SiteCommentItem", "sites", WORKSPACE, "comment#", "page_comments", json=("mentions",)),
    ItemKind("PartItem", "sites", WORKSPACE, "part#", "site_parts", json=("parameters", "slots")),
    ItemKind("PartVersionItem", "sites", WORKSPACE, "part-version#", "site_part_versions", json=_PART),
    ItemKind("PartUseCountItem", "sites", WORKSPACE, "uses#", None, _COUNTER),
    ItemKind("PartUseItem", "sites", WORKSPACE, "use#", None, "as in the pages"),
    # ---- billing
    ItemKind("BillingItem", "billing", WORKSPACE, "", "billing", json=("facts",)),
    ItemKind("BillingItem", "billing", "stripe#", "customer", None, "the id at Stripe"),
    ItemKind("BillingItem", "billing", "trial#", "trial", None, "a digest: a trial is given once", KEPT),
    ItemKind("BillingItem", "billing", "reconciliation", "", None, _DEPLOYMENT, NOBODYS),
    ItemKind("AdjustmentItem", "billing", "adjustments", "adj_", None, "its movement is in the statement", KEPT),
    ItemKind("AloneItem", "billing", "adjustments", "alone#", None, _DEPLOYMENT, NOBODYS),
    ItemKind("ProposalItem", "billing", "price-proposals", "prp_", None, _DEPLOYMENT, NOBODYS),
    ItemKind("OpenProposalItem", "billing", "price-proposals", "open#", None, _DEPLOYMENT, NOBODYS),
    # ---- analytics
    ItemKind("ReceiptItem", "analytics", WORKSPACE, "receipt#", None, _DERIVED),
    ItemKind("RowItem", "analytics", WORKSPACE, "row#", None, _DERIVED),
    ItemKind("RowItem", "analytics", WORKSPACE, "rebuilt#", None, _DERIVED),
    ItemKind("ChangedHourItem", "analytics", WORKSPACE, "changed#", None, _DERIVED),
    ItemKind("KeptSumsItem", "analytics", WORKSPACE, "day#", None, _DERIVED),
    ItemKind("KeptSumsItem", "analytics", WORKSPACE, "month#", None, _DERIVED),
    ItemKind("RebuildItem", "analytics", WORKSPACE, "rebuild", None, _DERIVED),
    ItemKind("MilestoneItem", "analytics", WORKSPACE, "milestone#", "milestones"),
    ItemKind("MilestoneItem", "analytics", USER, "milestone#", "account/milestones"),
    ItemKind("KeptSumsItem", "analytics", "platform#", "", None, _DEPLOYMENT, NOBODYS),
    ItemKind("PeopleItem", "analytics", "people#", "", None, _DEPLOYMENT, NOBODYS),
    ItemKind("PeopleItem", "analytics", "cohort#", "", None, _DEPLOYMENT, NOBODYS),
    # ---- exports
    ItemKind("ExportItem", "exports", WORKSPACE, "exp_", "exports", json=("filters",)),
    ItemKind("WholeExportItem", "exports", WORKSPACE, "whole#exp_", "whole_exports", without=("place",), json=_FILES),
    ItemKind("ExportProgressItem", "exports", WORKSPACE, "progress#", None, "how far an export is"),
    ItemKind("OpenExportsItem", "exports", WORKSPACE, "open", None, "the exports that are being written"),
    ItemKind("OpenWholeItem", "exports", WORKSPACE, "open#whole", None, "the export that is being written"),
    ItemKind("ProductEventItem", "exports", WORKSPACE, "track#", "product_events", json=("properties",)),
    ItemKind("TrackingItem", "exports", WORKSPACE, "tracking", "product_events_setting"),
    # ---- backups
    ItemKind("BackupItem", "backups", "platform", "bak_", None, _DEPLOYMENT, NOBODYS),
    ItemKind("BackupPartItem", "backups", "platform", "part#", None, _DEPLOYMENT, NOBODYS),
    ItemKind("DrillItem", "backups", "platform", "drl_", None, _DEPLOYMENT, NOBODYS),
    # ---- erasures
    ItemKind("ErasureItem", "erasures", WORKSPACE, "erasure", None, "that it is being erased; it names nobody", KEPT),
    ItemKind("ErasureItem", "erasures", USER, "erasure", None, "that it is being erased; it names nobody", KEPT),
    ItemKind("ErasureCountItem", "erasures", WORKSPACE, "count#", None, "how much was erased", KEPT),
    ItemKind("ErasureCountItem", "erasures", USER, "count#", None, "how much was erased", KEPT),
    ItemKind("StripeReferenceItem", "erasures", WORKSPACE, "reference#", None, "ids of what is gone at Stripe", KEPT),
    ItemKind("ErasureEntryItem", "erasures", "begun", "", None, "ids that lead to nobody", KEPT),
    ItemKind("ErasureEntryItem", "erasures", "open", "", None, "ids that lead to nobody", KEPT),
    # ---- realtime
    ItemKind("FeedPageItem", "realtime", WORKSPACE, "page#", None, _EVENTS, EXPIRES),
    ItemKind("FeedClaimItem", "realtime", WORKSPACE, "claim#", None, _EVENTS, EXPIRES),
    ItemKind("FeedWatchItem", "realtime", WORKSPACE, "watched", None, _EVENTS, EXPIRES),
    ItemKind("FeedPageItem", "realtime", USER, "page#", None, _EVENTS, EXPIRES),
    ItemKind("FeedClaimItem", "realtime", USER, "claim#", None, _EVENTS, EXPIRES),
    ItemKind("FeedWatchItem", "realtime", USER, "watched", None, _EVENTS, EXPIRES),
    ItemKind("FeedPageItem", "realtime", "platform", "page#", None, _DEPLOYMENT, EXPIRES),
    ItemKind("FeedClaimItem", "realtime", "platform", "claim#", None, _DEPLOYMENT, EXPIRES),
    ItemKind("FeedWatchItem", "realtime", "platform", "watched", None, _DEPLOYMENT, EXPIRES),
    ItemKind("ConnectionTicketItem", "realtime", "ticket#", "ticket", None, _CONNECTED, EXPIRES),
    ItemKind("ConnectionItem", "realtime", "connection#", "connection", None, _CONNECTED, EXPIRES),
    ItemKind("ConnectionItem", "realtime", USER, "connection#", None, _CONNECTED, EXPIRES),
    ItemKind("SubscriberItem", "realtime", WORKSPACE, "subscriber#", None, _CONNECTED, EXPIRES),
    ItemKind("SubscriberItem", "realtime", USER, "subscriber#", None, _CONNECTED, EXPIRES),
    ItemKind("SubscriberItem", "realtime", "platform", "subscriber#", None, _CONNECTED, EXPIRES),
    ItemKind("ClosingItem", "realtime", WORKSPACE, "close#", None, _CONNECTED, EXPIRES),
    ItemKind("ClosingItem", "realtime", USER, "close#", None, _CONNECTED, EXPIRES),
    # ---- messages of vendors, and requests
    ItemKind("WebhookItem", "inbox", "", "", None, _VENDOR),
    ItemKind("IdempotencyItem", "requests", "idempotency#wsp_", "", None, "digests of keys", KEPT),
    ItemKind("JobRunItem", "requests", "job-runs", "", None, _DEPLOYMENT, NOBODYS),
    ItemKind("RequestRateItem", "requests", "rate#", "", None, _TECHNICAL, EXPIRES),
    ItemKind("SdkRetryItem", "requests", "try#wsp_", "", None, _TECHNICAL, EXPIRES),
    ItemKind("WaitItem", "requests", "waiting#", "", None, _TECHNICAL, EXPIRES),
    ItemKind("ApiCallsItem", "requests", "calls#wsp_", "", None, _COUNTER),
)  # fmt: skip


def exported_kinds() -> Iterator[ItemKind]:
    """The kinds that an export of everything has, all in the partitions of workspaces and of users."""
    return (kind for kind in KINDS if kind.file is not None)


def kind_of(table: str, pk: str, sk: str) -> ItemKind | None:
    """The kind of a stored item: the one with the longest matching keys."""
    found = [kind for kind in KINDS if kind.table == table and pk.startswith(kind.pk) and sk.startswith(kind.sk)]
    return max(found, key=lambda kind: (len(kind.pk), len(kind.sk)), default=None)
