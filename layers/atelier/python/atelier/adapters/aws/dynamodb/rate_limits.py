"""Rate limit windows in the providers table: reserved requests to providers that have a rate limit.

pk pace         sk <provider>             requests with the platform's key
pk pace#wsp_…   sk <provider>#<key id>    requests with a workspace's own key
"""

from __future__ import annotations

from typing import Any

from pynamodb.attributes import NumberAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import CONFLICT_CODES, CompactJSON, Item, conditional
from atelier.routing.circuit_breaker import Scope
from atelier.routing.rate_limit import RateWindow

PK = "pace"


class ProviderRateItem(Item):
    """The window of one scope. places: [time, count] of reservations; the first time is in milliseconds since 1970,
    each later one in milliseconds after the one before."""

    version = NumberAttribute()
    places = CompactJSON()


class DynamoRateWindows:
    """PaceStore on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the providers table."""
        ProviderRateItem.bind(table_name)

    def read(self, scope: Scope) -> RateWindow:
        # A query instead of a get, like all other reads of this table in a submission, whose permission is for queries.
        found = list(ProviderRateItem.query(_pk(scope), ProviderRateItem.sk == _sk(scope), limit=1))
        return _rate_window(scope, found[0]) if found else RateWindow(scope)

    def get(self, scope: Scope) -> RateWindow:
        try:
            return _rate_window(scope, ProviderRateItem.get(_pk(scope), _sk(scope), consistent_read=True))
        except DoesNotExist:
            return RateWindow(scope)

    def replace(self, before: RateWindow, after: RateWindow) -> bool:
        scope = before.scope
        item = ProviderRateItem(_pk(scope), _sk(scope), version=after.version, places=_data(after))
        condition = (
            ProviderRateItem.version == before.version if before.version else ProviderRateItem.pk.does_not_exist()
        )
        return conditional(lambda: item.save(condition=condition), CONFLICT_CODES)


def _pk(scope: Scope) -> str:
    return f"{PK}#{scope.workspace_id}" if scope.workspace_id else PK


def _sk(scope: Scope) -> str:
    return f"{scope.provider}#{scope.key_id}" if scope.key_id else scope.provider


def _data(window: RateWindow) -> list[Any]:
    previous_ms, data = 0, list[list[int]]()
    for at_ms, count in window.places:
        data.append([at_ms - previous_ms, count])
        previous_ms = at_ms
    return data


def _rate_window(scope: Scope, item: ProviderRateItem) -> RateWindow:
    at_ms, places = 0, list[tuple[int, int]]()
    for after_ms, count in item.places:
        at_ms += after_ms
        places.append((at_ms, count))
    return RateWindow(scope, int(item.version), tuple(places))
