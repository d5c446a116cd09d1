"""The providers table: when providers have said that their models end.

pk sunsets  sk <provider>    published dates and given warnings, by model
"""

from __future__ import annotations

from datetime import date

from pynamodb.attributes import JSONAttribute

from atelier.aws.dynamodb import Item
from atelier.pricing.ports import Sunsets

PK = "sunsets"
PROVIDERS_MAX = 100


class SunsetsItem(Item):
    """What is known of one provider."""

    dates = JSONAttribute()
    warned = JSONAttribute()


class DynamoSunsets:
    """SunsetStore on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the providers table."""
        SunsetsItem.bind(table_name)

    def read(self) -> dict[str, Sunsets]:
        # Small items on one page; a few minutes do not matter to what is known for weeks.
        return {
            item.sk: Sunsets({model: date.fromisoformat(day) for model, day in item.dates.items()}, item.warned)
            for item in SunsetsItem.query(PK, limit=PROVIDERS_MAX)
        }

    def write(self, provider: str, sunsets: Sunsets) -> None:
        dates = {model: day.isoformat() for model, day in sunsets.dates.items()}
        SunsetsItem(PK, provider, dates=dates, warned=dict(sunsets.warned)).save()
