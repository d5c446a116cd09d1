"""StepFacts on DynamoDB: generations, listings, livestreams and names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar, cast

from atelier.adapters.aws.dynamodb import ItemAddress, batch_read
from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.adapters.aws.dynamodb.livestreams.items import LIVESTREAM, LivestreamItem, livestream_of
from atelier.adapters.aws.dynamodb.showcase.listings import DynamoListings
from atelier.adapters.aws.dynamodb.workshops.people import DynamoWorkshopPeople
from atelier.library.ports import BoughtFrom, RecordedFrom

READ_TOGETHER = 100
PartT = TypeVar("PartT")


class DynamoStepFacts:
    """StepFacts on DynamoDB."""

    def __init__(self, community_table: str, generations_table: str, identity_table: str) -> None:
        GenerationItem.bind(generations_table)
        LivestreamItem.bind(community_table)
        self._listings = DynamoListings(community_table)
        self._people = DynamoWorkshopPeople(identity_table)

    def credits(self, workspace_id: str, generation_ids: Iterable[str]) -> Mapping[str, int]:
        addresses: list[ItemAddress] = [(GenerationItem, workspace_id, id) for id in dict.fromkeys(generation_ids)]
        found: dict[str, int] = {}
        for part in _parts(addresses):
            items = (cast("GenerationItem", item) for item in batch_read(part).values())
            found |= {item.sk: int(item.credits_charged or 0) for item in items}
        return found

    def bought_from(self, listing_ids: Iterable[str]) -> Sequence[BoughtFrom]:
        near = [each for part in _parts(list(dict.fromkeys(listing_ids))) for each in self._listings.find_all(part)]
        distances = {each.id: 1 for each in near}
        for ancestor in (ancestor for each in near for ancestor in each.ancestors):
            distances.setdefault(ancestor.listing_id, ancestor.generation + 1)
        further = [id for id in distances if id not in {each.id for each in near}][:READ_TOGETHER]
        everything = [*near, *self._listings.find_all(further)]
        found = [BoughtFrom(each.id, each.title, each.user_id, distances[each.id]) for each in everything]
        return sorted(found, key=lambda each: each.distance)

    def recorded_from(self, workspace_id: str, livestream_ids: Iterable[str]) -> Mapping[str, RecordedFrom]:
        addresses: list[ItemAddress] = [(LivestreamItem, workspace_id, LIVESTREAM + id) for id in livestream_ids]
        items = [item for part in _parts(addresses) for item in batch_read(part).values()]
        found = (livestream_of(cast("LivestreamItem", item)) for item in items)
        return {each.id: RecordedFrom(each.id, each.title, each.live_at) for each in found}

    def names(self, user_ids: Sequence[str]) -> Mapping[str, str]:
        distinct = list(dict.fromkeys(user_ids))
        return {id: name for part in _parts(distinct) for id, name in self._people.names(part).items()}


def _parts(values: list[PartT]) -> list[list[PartT]]:
    return [values[start : start + READ_TOGETHER] for start in range(0, len(values), READ_TOGETHER)]
