"""WorkshopPeople on DynamoDB, from the profiles of identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from atelier.adapters.aws.dynamodb import ItemAddress, batch_read
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, IdentityItem, UserItem


class DynamoWorkshopPeople:
    """WorkshopPeople on DynamoDB."""

    def __init__(self, identity_table: str) -> None:
        IdentityItem.bind(identity_table)

    def persona(self, user_id: str) -> str:
        found = batch_read([(UserItem, user_id, PROFILE)])
        return next((cast("UserItem", item).persona for item in found.values()), "none")

    def names(self, user_ids: Sequence[str]) -> Mapping[str, str]:
        addresses: list[ItemAddress] = [(UserItem, user_id, PROFILE) for user_id in dict.fromkeys(user_ids)]
        return {item.pk: cast("UserItem", item).name for item in batch_read(addresses).values()} if addresses else {}
