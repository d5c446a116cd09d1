"""API tokens on DynamoDB."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from pynamodb.exceptions import DoesNotExist, PynamoDBException

from atelier.adapters.aws.dynamodb import ConditionsFailed, Transaction, newest_page, write_transaction
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.identity.items import (
    TOKEN_COUNT,
    IdentityItem,
    TokenCountItem,
    TokenItem,
    decode_token,
    token_item,
    token_sk,
    update_if,
)
from atelier.audit_log.model import AuditEvent
from atelier.clock import rfc3339
from atelier.identity.api_tokens import (
    REVOKED_RETENTION,
    TOKENS_PER_WORKSPACE_MAX,
    ApiToken,
    TokenExists,
    TokenPage,
    TooManyTokens,
)

TRIES_MAX = 5
TOKENS_BUSY = "The workspace's tokens are busy just now. Try again."


class DynamoApiTokens:
    """ApiTokens on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items."""
        IdentityItem.bind(table_name)

    def add_token(self, token: ApiToken, events: Sequence[AuditEvent] = ()) -> None:
        def write_both(write: Transaction) -> None:
            write.save(token_item(token), TokenItem.pk.does_not_exist(), part="token")
            write.update(
                TokenCountItem(token.workspace_id, TOKEN_COUNT),
                [TokenCountItem.living.add(1)],
                TokenCountItem.living.does_not_exist() | (TokenCountItem.living < TOKENS_PER_WORKSPACE_MAX),
                part="count",
            )
            save_events(write, events)

        try:
            write_transaction(write_both, busy=TOKENS_BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise (TokenExists if "token" in error.parts else TooManyTokens) from error

    def token(self, workspace_id: str, token_id: str) -> ApiToken | None:
        try:
            return decode_token(TokenItem.get(workspace_id, token_sk(token_id), consistent_read=True))
        except DoesNotExist:
            return None

    def tokens(self, workspace_id: str, after: str | None, limit: int) -> TokenPage:
        bounds = token_sk(""), token_sk("~")
        not_revoked = TokenItem.revoked_at.does_not_exist()
        items, next_key = newest_page(TokenItem, workspace_id, bounds, matching=not_revoked, after=after, limit=limit)
        return TokenPage(tuple(map(decode_token, items)), next_key)

    def note_use(self, token: ApiToken, at: datetime) -> None:
        item = TokenItem(token.workspace_id, token_sk(token.id))
        not_revoked = TokenItem.pk.exists() & TokenItem.revoked_at.does_not_exist()
        with suppress(PynamoDBException):
            update_if(item, [TokenItem.last_used_at.set(rfc3339(at))], not_revoked)

    def revoke_token(self, workspace_id: str, token_id: str, at: datetime, events: Sequence[AuditEvent] = ()) -> bool:
        forgotten_at_seconds = int((at + REVOKED_RETENTION).timestamp())
        revocation: list[Any] = [
            TokenItem.revoked_at.set(rfc3339(at)),
            TokenItem.expires_at_seconds.set(forgotten_at_seconds),
        ]
        not_revoked = TokenItem.pk.exists() & TokenItem.revoked_at.does_not_exist()

        def write_both(write: Transaction) -> None:
            write.update(TokenItem(workspace_id, token_sk(token_id)), revocation, not_revoked, part="token")
            write.update(TokenCountItem(workspace_id, TOKEN_COUNT), [TokenCountItem.living.add(-1)])
            save_events(write, events)

        try:
            write_transaction(write_both, busy=TOKENS_BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed:
            return False
        return True
