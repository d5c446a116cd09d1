"""Requests that moderation refused, in the generations table, whose stream counts them."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from atelier.adapters.aws.dynamodb import Item, conditional
from atelier.clock import parse_rfc3339, rfc3339
from atelier.generations.prompt_refusal import PREFIX, PromptRefusal


class PromptRefusalItem(Item):
    """One refused request. It is kept as long as the workspace, as generations are, since sums are made of both."""

    user_id = UnicodeAttribute()
    token_id = UnicodeAttribute(null=True)
    project_id = UnicodeAttribute(null=True)
    kind = UnicodeAttribute()
    model = UnicodeAttribute()
    category = UnicodeAttribute()
    at = UnicodeAttribute()


class DynamoPromptRefusals:
    """See PromptRefusals."""

    def add(self, refusal: PromptRefusal) -> None:
        item = PromptRefusalItem(
            refusal.workspace_id,
            PREFIX + refusal.key,
            user_id=refusal.user_id,
            token_id=refusal.token_id,
            project_id=refusal.project_id,
            kind=refusal.kind,
            model=refusal.model,
            category=refusal.category,
            at=rfc3339(refusal.at),
        )
        conditional(lambda: item.save(condition=PromptRefusalItem.pk.does_not_exist()))


def decode_refusal(item: PromptRefusalItem) -> PromptRefusal:
    """The refusal of an item."""
    return PromptRefusal(
        item.sk.removeprefix(PREFIX),
        item.pk,
        item.user_id,
        item.token_id,
        item.project_id,
        item.kind,
        item.model,
        item.category,
        parse_rfc3339(item.at),
    )
