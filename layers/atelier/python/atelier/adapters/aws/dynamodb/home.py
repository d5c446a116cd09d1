"""HomeReads on DynamoDB: single queries of few items, with eventual consistency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from atelier.adapters.aws.dynamodb import ItemAddress, batch_read
from atelier.adapters.aws.dynamodb.articles.store import DynamoArticles
from atelier.adapters.aws.dynamodb.deployments.items import DEPLOYMENT, DeploymentItem, deployment_of
from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, IdentityItem, UserItem
from atelier.adapters.aws.dynamodb.ledger.items import WalletItem, wallet_address, wallet_from_item
from atelier.adapters.aws.dynamodb.notifications.items import UNREAD, UnreadCountItem
from atelier.adapters.aws.dynamodb.workshops.items import (
    ENROLLED,
    WORKSHOP,
    EnrolledItem,
    EnrolmentItem,
    WorkshopItem,
    enrolment_key,
    enrolment_of,
    workshop_of,
)
from atelier.articles.model import ShownArticle
from atelier.articles.ports import ShownFilter
from atelier.clock import parse_rfc3339
from atelier.dataclass import dataclass
from atelier.deployments.model import SiteDeployment
from atelier.errors import NotFound
from atelier.home.model import RecentGeneration
from atelier.ledger.model import Wallet
from atelier.workshops.model import Enrolment, Workshop


@dataclass(frozen=True, slots=True)
class HomeTables:
    """The names of the tables that are read."""

    generations: str
    identity: str
    ledger: str
    notifications: str
    community: str
    sites: str


class DynamoHomeReads:
    """HomeReads on DynamoDB. It binds the items that it reads: the stores of their contexts write too, and import three
    times as much."""

    def __init__(self, tables: HomeTables) -> None:
        self._articles = DynamoArticles(tables.community)
        GenerationItem.bind(tables.generations)
        IdentityItem.bind(tables.identity)
        WalletItem.bind(tables.ledger)
        UnreadCountItem.bind(tables.notifications)
        for item in (WorkshopItem, EnrolledItem, EnrolmentItem):
            item.bind(tables.community)
        DeploymentItem.bind(tables.sites)

    def person(self, user_id: str, workspace_id: str) -> tuple[str, Wallet, int]:
        profile: ItemAddress = (UserItem, user_id, PROFILE)
        count: ItemAddress = (UnreadCountItem, user_id, UNREAD)
        purse = wallet_address(workspace_id)
        found = batch_read([], eventual=[profile, count, purse])
        wallet = wallet_from_item(found.get(purse))
        if wallet is None:
            raise NotFound
        user, unread = cast("UserItem | None", found.get(profile)), cast("UnreadCountItem | None", found.get(count))
        return user.persona if user else "none", wallet, int(unread.unread or 0) if unread else 0

    def generations(self, workspace_id: str, limit: int) -> Sequence[RecentGeneration]:
        # Stages of a run are read beside it, and left out.
        whole = GenerationItem.parent_id.does_not_exist()
        items = _newest(GenerationItem, workspace_id, "gen_", limit * 2, whole)
        return [_generation(item) for item in items][:limit]

    def teaching(self, workspace_id: str, limit: int) -> Sequence[Workshop]:
        return list(map(workshop_of, _newest(WorkshopItem, workspace_id, WORKSHOP, limit)))

    def learning(self, user_id: str, limit: int) -> Sequence[tuple[Workshop, Enrolment]]:
        pairs = list[tuple[ItemAddress, ItemAddress]]()
        for item in _newest(EnrolledItem, user_id, ENROLLED, limit):
            id = item.sk.removeprefix(ENROLLED)
            enrolment = (EnrolmentItem, item.workspace_id, enrolment_key(id, user_id))
            pairs.append(((WorkshopItem, item.workspace_id, WORKSHOP + id), enrolment))
        read: dict[ItemAddress, Any] = {}
        if pairs:
            read = dict(batch_read([], eventual=[each for pair in pairs for each in pair]))
        # An erased workspace has no workshops any more.
        return [
            (workshop_of(read[first]), enrolment_of(read[second]))
            for first, second in pairs
            if first in read and second in read
        ]

    def deployments(self, workspace_id: str, limit: int) -> Sequence[SiteDeployment]:
        return list(map(deployment_of, _newest(DeploymentItem, workspace_id, DEPLOYMENT, limit)))

    def articles(self, limit: int) -> Sequence[ShownArticle]:
        settings = self._articles.settings()
        if settings.workspace_id is None:
            return ()
        page = self._articles.shown_page(settings.workspace_id, settings.source, ShownFilter(), None, limit)
        return page.articles


def _newest(model: Any, pk: str, prefix: str, limit: int, matching: Any = None) -> list[Any]:
    """The newest items whose sort keys begin with a prefix: one query of at most `limit` items. What does not match is
    counted too."""
    results = model.query(
        pk, model.sk.startswith(prefix), filter_condition=matching, scan_index_forward=False, page_size=limit
    )
    return [model.from_raw_data(item) for item in next(results.page_iter)["Items"]]


def _generation(item: GenerationItem) -> RecentGeneration:
    # A long recipe is an item of its own, which is not read.
    recipe = cast("dict[str, Any]", item.recipe or {})
    prompt = str(recipe.get("prompt") or "")
    return RecentGeneration(
        item.sk, item.kind, item.status, int(item.progress or 0), prompt, parse_rfc3339(item.created_at)
    )
