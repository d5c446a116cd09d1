"""Shutdown dates of models, as published by their providers; in the providers table.

pk sunsets  sk <provider>    published dates, and warnings already given, by model
"""

from __future__ import annotations

from datetime import date

from pynamodb.attributes import JSONAttribute

from atelier.adapters.aws.dynamodb import Item
from atelier.catalogue.ports import Sunsets

PK = "sunsets"
PROVIDERS_MAX = 100


class SunsetsItem(Item):
    """The shutdown dates and warnings of one provider's models."""

    dates = JSONAttribute()
    warned = JSONAttribute()


class DynamoSunsets:
    """SunsetStore on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the providers table."""
        SunsetsItem.bind(table_name)

    def read(self) -> dict[str, Sunsets]:
        # The items are small and fit on one page. A read that is slightly out of date does no harm to dates that are
        # known weeks before.
        return {
            item.sk: Sunsets({model: date.fromisoformat(day) for model, day in item.dates.items()}, item.warned)
            for item in SunsetsItem.query(PK, limit=PROVIDERS_MAX)
        }

    def write(self, provider: str, sunsets: Sunsets) -> None:
        dates = {model: day.isoformat() for model, day in sunsets.dates.items()}
        SunsetsItem(PK, provider, dates=dates, warned=dict(sunsets.warned)).save()
