"""The showcase on the embedded DynamoDB with the real use cases, library and wallets; files are copied in a set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from atelier.adapters.aws.dynamodb.library import AssetItem, DynamoAssets
from atelier.adapters.aws.dynamodb.showcase.listings import DynamoListings
from atelier.adapters.aws.dynamodb.showcase.purchases import DynamoPurchases
from atelier.adapters.aws.dynamodb.showcase.ranks import DynamoRanks
from atelier.adapters.aws.dynamodb.showcase.reactions import DynamoReactions
from atelier.adapters.aws.dynamodb.showcase.works import LibraryWorks
from atelier.audit_log.model import Origin
from atelier.ids import new_id
from atelier.ledger.model import GrantSource
from atelier.ledger.post import PostDeps, grant
from atelier.library.model import Asset
from atelier.showcase.advance import ShowcaseAdvanceDeps, advance_showcase
from atelier.showcase.buy import Acquirer, Bought, Collected, buy, collect, refund
from atelier.showcase.deps import ShowcaseDeps
from atelier.showcase.model import Listing, WorkKind
from atelier.showcase.moderate import ListingDecision, decide
from atelier.showcase.publish import Creator, ListingFields, publish
from tests.conftest import Tables
from tests.integration.workshop_world import PublishedEvents
from tests.integration.world import NOON, World


class NamedPeople:
    """Everybody's name is their id in small letters."""

    def names(self, user_ids: Sequence[str]) -> Mapping[str, str]:
        return {user_id: user_id.lower() for user_id in user_ids}


@dataclass
class CopiedFiles:
    """Which files are where: (workspace or listing, hash)."""

    there: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def copy(self, source_id: str, target_id: str, sha256: str, format: str) -> None:
        if (source_id, sha256) in self.there:
            self.there.add((target_id, sha256))


def no_urls(owner: str, sha256: str, format: str, now: datetime) -> tuple[str, str]:
    return f"https://media.example.com/{owner}/{sha256}", f"https://media.example.com/{owner}/{sha256}.thumb"


def fields_of(subject_id: str, price: int) -> ListingFields:
    """What somebody says of a work."""
    kind = {"ast": WorkKind.ASSET, "chr": WorkKind.CHARACTER, "tpl": WorkKind.TEMPLATE}[subject_id[:3]]
    return ListingFields(kind, subject_id, "Lighthouse", "At dusk", ("sea",), "standard", price, is_ai=False)


class ShowcaseWorld:
    """People who publish and buy, each with a workspace; a buyer has bought credits, and the daily ones."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.now = NOON
        self.worlds = dict[str, World]()
        home = self.world("home", credits=0)
        assets = DynamoAssets()
        assets.bind(tables.library)
        self.bus = PublishedEvents()
        self.files, self.assets, self.number = CopiedFiles(), assets, 0
        works = LibraryWorks(tables.library, assets, self.files, lambda workspace, size: None)
        self.deps = ShowcaseDeps(
            DynamoListings(tables.community),
            DynamoPurchases(tables.community),
            DynamoReactions(tables.community),
            NamedPeople(),
            PostDeps(home.wallets, home.post_deps.daily, lambda tries: None),
            lambda: works,
            lambda: home.keys,
            lambda: lambda texts, now: None,
            no_urls,
        )

    @property
    def advance_deps(self) -> ShowcaseAdvanceDeps:
        ranks = DynamoRanks(DynamoListings(self.tables.community))
        return ShowcaseAdvanceDeps(ranks, lambda: self.bus, self.deps.payments)

    def world(self, name: str, credits: int = 1000) -> World:
        """Somebody's workspace; made on demand, with bought credits."""
        if name not in self.worlds:
            world = self.worlds[name] = World(self.tables)
            if credits:
                key = f"grant#{world.workspace_id}"
                grant(world.workspace_id, key, GrantSource.PURCHASE, credits, deps=world.post_deps, now=self.now)
        return self.worlds[name]

    def creator(self, name: str) -> Creator:
        return Creator(self.world(name).workspace_id, f"usr_{name}", Origin(user_id=f"usr_{name}"))

    def buyer(self, name: str, key: str | None = None) -> Acquirer:
        return Acquirer(self.world(name).workspace_id, f"usr_{name}", may_spend=True, request_key=key)

    def asset(self, name: str, made_from: Sequence[str] = (), **facts: Any) -> Asset:
        """An asset in somebody's workspace; its file is there."""
        self.number += 1
        creator = self.creator(name)
        made = Asset(
            new_id("ast", self.now),
            creator.workspace_id,
            creator.user_id,
            "image",
            "Lighthouse",
            "png",
            f"{self.number:064x}",
            1000,
            64,
            64,
            facts.pop("generation_id", None),
            self.now,
            **facts,
        )
        self.assets.record_upload(made)
        if made_from:
            AssetItem(made.workspace_id, made.id).update([AssetItem.made_from.set(list(made_from))])
        self.files.there.add((made.workspace_id, made.sha256))
        return replace(made, made_from=tuple(made_from))

    def publish(self, name: str, subject_id: str, price: int = 100, **said: Any) -> Listing:
        """Publishes a work of somebody, for the moderators."""
        fields = fields_of(subject_id, price)
        made, _ = publish(self.creator(name), replace(fields, **said), None, deps=self.deps, now=self.now)
        return made

    def offered(self, name: str, price: int = 100, made_from: Sequence[str] = (), **said: Any) -> Listing:
        """A listing that everybody sees."""
        return self.approve(self.publish(name, self.asset(name, made_from).id, price, **said))

    def approve(self, listing: Listing) -> Listing:
        """A moderator lets everybody see it."""
        return self.decide(listing, ListingDecision.APPROVE)

    def decide(self, listing: Listing, decision: ListingDecision) -> Listing:
        moderator = Origin(user_id="usr_M")
        return decide(listing.id, decision, "reason", moderator, deps=self.deps, now=self.now)

    def advance(self) -> int:
        """The schedule runs."""
        return advance_showcase(None, deps=self.advance_deps, clock=lambda: self.now)

    def pay(self) -> None:
        """The time for refunds passes, and the schedule runs."""
        self.time_passes(timedelta(hours=24))
        self.advance()

    def buy(self, listing: Listing, name: str, seen: int | None = None, key: str | None = None) -> Bought:
        return buy(listing.id, seen, self.buyer(name, key), deps=self.deps, now=self.now)

    def refund(self, listing: Listing, name: str) -> Bought:
        return refund(listing.id, self.buyer(name), deps=self.deps, now=self.now)

    def collect(self, listing: Listing, name: str) -> Collected:
        return collect(listing.id, self.buyer(name), deps=self.deps, now=self.now)

    def time_passes(self, by: timedelta) -> None:
        self.now += by

    def held(self, name: str) -> int:
        """What somebody has in escrow."""
        return self.world(name).wallet().held

    def bought_left(self, name: str) -> int:
        """What somebody has left apart from daily credits."""
        grants = self.world(name).wallet().grants
        return sum(each.remaining for each in grants if each.source is not GrantSource.DAILY)

    def earned(self, name: str) -> int:
        """What somebody's purse of earnings has."""
        grants = self.world(name).wallet().grants
        return next((each.remaining for each in grants if each.id == "earnings"), 0)

    def total(self, name: str) -> tuple[int, int, int]:
        """What was earned, what was taken back, and how many sales there are."""
        creator = self.creator(name)
        sums = self.deps.purchases.earned(creator.workspace_id, creator.user_id)
        return sums.earned, sums.taken_back, sums.sales

    def waiting(self, name: str) -> int:
        """What of somebody's earnings is not paid yet."""
        creator = self.creator(name)
        return self.deps.purchases.earned(creator.workspace_id, creator.user_id).waiting

    def assert_sound(self) -> None:
        """Asserts that each wallet is what its movements say."""
        for world in self.worlds.values():
            world.assert_sound()
