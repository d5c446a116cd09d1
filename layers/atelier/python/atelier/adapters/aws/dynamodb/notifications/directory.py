"""PeopleDirectory on DynamoDB: the index `directory` of the identity table, which has all users in partitions, by
address. No table is scanned."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from atelier.adapters.aws.dynamodb import ItemAddress, batch_read
from atelier.adapters.aws.dynamodb.identity.directory import DirectoryEntry
from atelier.adapters.aws.dynamodb.identity.items import DIRECTORY_STARTS, PROFILE, IdentityItem, UserItem
from atelier.adapters.aws.dynamodb.ledger.items import WalletItem, wallet_address, wallet_from_item
from atelier.adapters.aws.dynamodb.notifications.people import recipient_of
from atelier.clock import Clock, parse_rfc3339
from atelier.notifications.updates import Candidate, Segment

BATCH_MAX = 100


class DynamoPeopleDirectory:
    """PeopleDirectory on DynamoDB."""

    def __init__(self, identity_table: str, ledger_table: str, clock: Clock) -> None:
        IdentityItem.bind(identity_table)
        DirectoryEntry.bind(identity_table)
        WalletItem.bind(ledger_table)
        self._clock = clock

    @property
    def shards(self) -> int:
        return len(DIRECTORY_STARTS) + 1

    def page(
        self, shard: int, after: str | None, limit: int, segment: Segment
    ) -> tuple[Sequence[Candidate], str | None]:
        if segment.user_id:
            return self._candidates([(segment.user_id, "")], segment), None
        start = _start(shard, after) if after else None
        found = list(
            DirectoryEntry.by_email.query(
                _partition(shard), limit=limit + 1, page_size=limit + 1, last_evaluated_key=start
            )
        )
        page = [(entry.pk, json.dumps([entry.email, entry.pk])) for entry in found[:limit]]
        return self._candidates(page, segment), page[-1][1] if len(found) > limit else None

    def _candidates(self, page: Sequence[tuple[str, str]], segment: Segment) -> list[Candidate]:
        users: dict[ItemAddress, object] = {}
        users |= batch_read([(UserItem, user_id, PROFILE) for user_id, _ in page]) if page else {}
        places = dict(page)
        items = [item for item in users.values() if isinstance(item, UserItem)]
        tiers = self._tiers([item.workspace_id for item in items], self._clock()) if segment.tiers else {}
        return [
            Candidate(
                recipient_of(item),
                places[item.pk],
                item.persona,
                item.platform_role,
                parse_rfc3339(item.last_login_at),
                tiers.get(item.workspace_id),
            )
            for item in items
        ]

    @staticmethod
    def _tiers(workspace_ids: Sequence[str], now: datetime) -> dict[str, str]:
        """The tier of each workspace, as its wallet says, without the version."""
        found = batch_read([wallet_address(workspace_id) for workspace_id in workspace_ids]) if workspace_ids else {}
        wallets = [wallet_from_item(item) for item in found.values() if isinstance(item, WalletItem)]
        return {each.workspace_id: each.tier_at(now).partition("@")[0] for each in wallets if each}


def _partition(shard: int) -> str:
    return f"users#{shard}"


def _start(shard: int, after: str) -> dict[str, dict[str, str]]:
    email, user_id = json.loads(after)
    values = {"directory": _partition(shard), "email": email, "pk": user_id, "sk": PROFILE}
    return {name: {"S": value} for name, value in values.items()}
