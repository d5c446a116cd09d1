"""The providers table: a workspace's own provider keys and its provider preferences.

    pk wsp_…  sk own#key_…          one key; its secret is stored only as a sealed record, in base64
    pk wsp_…  sk own#wishes         all provider preferences; the prefix is that of keys, so one query reads both
    pk wsp_…  sk own-names#…        a taken key name: provider and digest of the name
    pk wsp_…  sk own-count          the number of keys
    pk wsp_…  sk own-removed#key_…  a removed key, so that a late repetition of its request does not create it again
    pk rotation  sk <kid>           a claim: a process is rotating this master key

Index `sealed-by` (kid, sk): the keys that a rotation still has to reseal.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Item,
    conditional,
    retry_conflicts,
    transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.audit_log.model import AuditEvent
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound
from atelier.provider_keys.model import (
    KEYS_PER_WORKSPACE_MAX,
    USE_STORED_EVERY,
    CustomModel,
    KeyNameTaken,
    KeyRemoved,
    KeyTest,
    ProviderKey,
    ProviderPreference,
    TooManyKeys,
    WorkspaceProviders,
    by_provider,
)
from atelier.provider_keys.ports import KeyExists, PreferencesChanged

OWN, PREFERENCES, NAMES, COUNT, REMOVED = "own#", "own#wishes", "own-names#", "own-count", "own-removed#"
ROTATION, ROTATION_CLAIMED_FOR = "rotation", timedelta(minutes=5)
TRIES_MAX = 10
PAGE = 100


class _SealedBy(GlobalSecondaryIndex["ProviderKeyItem"]):
    class Meta:
        index_name = "sealed-by"
        projection = KeysOnlyProjection()

    kid = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class ProviderKeyItem(Item):
    """One provider key; or the item of the preferences, when the query for keys returns it too."""

    user_id = UnicodeAttribute()
    provider = UnicodeAttribute()
    name = UnicodeAttribute()
    last_four = UnicodeAttribute()
    record = UnicodeAttribute()
    kid = UnicodeAttribute()
    created_at = UnicodeAttribute()
    base_url = UnicodeAttribute(null=True)
    models = UnicodeAttribute(null=True)
    is_active = BooleanAttribute()
    last_used_at = UnicodeAttribute(null=True)
    last_test_at = UnicodeAttribute(null=True)
    last_test_error = UnicodeAttribute(null=True)
    preferences = UnicodeAttribute(null=True, attr_name="wishes")
    version = NumberAttribute(null=True)
    sealed_by = _SealedBy()


class PreferencesItem(Item):
    """All provider preferences of a workspace, as JSON; they are replaced as a whole, which `version` counts."""

    preferences = UnicodeAttribute(attr_name="wishes")
    version = NumberAttribute(null=True)


class KeyNameItem(Item):
    """Marks a key name of a provider as taken."""


class KeyCountItem(Item):
    """How many keys a workspace has."""

    keys = NumberAttribute()


class RemovedKeyItem(Item):
    """A key that was removed."""

    removed_at = UnicodeAttribute()


class RotationItem(Item):
    """The claim of a process on the rotation of a master key."""

    claimed_at = UnicodeAttribute()


class DynamoProviderKeys:
    """ProviderKeys on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the providers table."""
        for item in (ProviderKeyItem, PreferencesItem, KeyNameItem, KeyCountItem, RemovedKeyItem, RotationItem):
            item.bind(table_name)

    def add(self, key: ProviderKey, events: Sequence[AuditEvent] = ()) -> None:
        item = _item(key)

        def write_all() -> None:
            with transaction() as write:
                never_removed = RemovedKeyItem.pk.does_not_exist()
                write.check(RemovedKeyItem, key.workspace_id, REMOVED + key.id, never_removed, part="removed")
                write.save(item, ProviderKeyItem.pk.does_not_exist(), part="key")
                write.save(KeyNameItem(key.workspace_id, _name_key(key)), KeyNameItem.pk.does_not_exist(), part="name")
                write.update(
                    KeyCountItem(key.workspace_id, COUNT),
                    [KeyCountItem.keys.add(1)],
                    KeyCountItem.keys.does_not_exist() | (KeyCountItem.keys < KEYS_PER_WORKSPACE_MAX),
                    part="count",
                )
                save_events(write, events)

        # In this order, because a key that exists already also holds its name.
        reasons = {"removed": KeyRemoved, "key": KeyExists, "name": KeyNameTaken, "count": TooManyKeys}
        try:
            retry_conflicts(write_all, busy="The keys are busy. Try again.", tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise next(reason for part, reason in reasons.items() if part in error.parts) from error

    def get(self, workspace_id: str, key_id: str) -> ProviderKey:
        try:
            return _key(ProviderKeyItem.get(workspace_id, OWN + key_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def read_workspace(self, workspace_id: str) -> WorkspaceProviders:
        items = list(ProviderKeyItem.query(workspace_id, ProviderKeyItem.sk.startswith(OWN), consistent_read=True))
        stored = next((item for item in items if item.sk == PREFERENCES), None)
        keys = tuple(_key(item) for item in items if item.sk != PREFERENCES)
        facts: list[list[Any]] = json.loads(stored.preferences or "[]") if stored else []
        version = int(stored.version or 0) if stored else 0
        return WorkspaceProviders(keys, by_provider(ProviderPreference(*each) for each in facts), version)

    def remove(self, key: ProviderKey, now: datetime, events: Sequence[AuditEvent] = ()) -> None:
        def write_all() -> None:
            with transaction() as write:
                stored = ProviderKeyItem(key.workspace_id, OWN + key.id)
                write.delete(stored, ProviderKeyItem.pk.exists(), part="key")
                write.delete(KeyNameItem(key.workspace_id, _name_key(key)))
                write.save(RemovedKeyItem(key.workspace_id, REMOVED + key.id, removed_at=rfc3339(now)))
                write.update(KeyCountItem(key.workspace_id, COUNT), [KeyCountItem.keys.add(-1)])
                save_events(write, events)

        try:
            retry_conflicts(write_all, busy="The keys are busy. Try again.", tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise NotFound from error

    def set_active(self, workspace_id: str, key_id: str, *, is_active: bool, events: Sequence[AuditEvent] = ()) -> None:
        switch: list[Action] = [ProviderKeyItem.is_active.set(is_active)]

        def write_all() -> None:
            with transaction() as write:
                write.update(
                    ProviderKeyItem(workspace_id, OWN + key_id), switch, ProviderKeyItem.pk.exists(), part="key"
                )
                save_events(write, events)

        try:
            retry_conflicts(write_all, busy="The keys are busy. Try again.", tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise NotFound from error

    def record_use(self, workspace_id: str, key_id: str, at: datetime) -> None:
        due = ProviderKeyItem.last_used_at.does_not_exist() | (
            ProviderKeyItem.last_used_at <= rfc3339(at - USE_STORED_EVERY)
        )
        _update(
            workspace_id, key_id, [ProviderKeyItem.last_used_at.set(rfc3339(at))], ProviderKeyItem.pk.exists() & due
        )

    def record_test(self, workspace_id: str, key_id: str, test: KeyTest) -> None:
        error = ProviderKeyItem.last_test_error
        actions = [
            ProviderKeyItem.last_test_at.set(rfc3339(test.at)),
            error.set(test.error_class) if test.error_class else error.remove(),
        ]
        _update(workspace_id, key_id, actions, ProviderKeyItem.pk.exists())

    def save_preferences(
        self, workspace_id: str, preferences: Iterable[ProviderPreference], *, version: int | None = None
    ) -> None:
        facts = [
            [each.provider, each.enabled, each.priority, each.own_key_id, each.platform_fallback]
            for each in preferences
        ]
        item = PreferencesItem(workspace_id, PREFERENCES)
        stored = PreferencesItem.version
        actions: list[Action] = [PreferencesItem.preferences.set(json.dumps(facts)), stored.add(1)]
        # An earlier build has written no version.
        condition = None if version is None else stored == version if version else stored.does_not_exist()
        if not conditional(lambda: item.update(actions, condition=condition)):
            raise PreferencesChanged

    def list_sealed_by(self, kid: str) -> Iterator[tuple[str, str]]:
        # Integrations are in the same index.
        for item in ProviderKeyItem.sealed_by.query(kid, ProviderKeyItem.sk.startswith(OWN), page_size=PAGE):
            yield item.pk, item.sk.removeprefix(OWN)

    def claim_rotation(self, kid: str, now: datetime) -> bool:
        item = RotationItem(ROTATION, kid, claimed_at=rfc3339(now))
        abandoned = RotationItem.claimed_at < rfc3339(now - ROTATION_CLAIMED_FOR)
        return conditional(lambda: item.save(condition=RotationItem.pk.does_not_exist() | abandoned))

    def replace_record(self, before: ProviderKey, after: ProviderKey) -> bool:
        actions = [ProviderKeyItem.record.set(_encode_record(after.record)), ProviderKeyItem.kid.set(after.sealed_by)]
        return _update(before.workspace_id, before.id, actions, ProviderKeyItem.record == _encode_record(before.record))


def _update(workspace_id: str, key_id: str, actions: list[Any], condition: Any) -> bool:
    """Whether the condition held."""
    item = ProviderKeyItem(workspace_id, OWN + key_id)
    return conditional(lambda: item.update(actions, condition=condition))


def _name_key(key: ProviderKey) -> str:
    return f"{NAMES}{key.provider}#{hashlib.sha256(key.name.encode()).hexdigest()}"


def _encode_record(record: bytes) -> str:
    return base64.b64encode(record).decode()


def _decode_record(text: str) -> bytes:
    # Invalid base64 becomes an empty record, which decryption refuses like any invalid record.
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _item(key: ProviderKey) -> ProviderKeyItem:
    return ProviderKeyItem(
        key.workspace_id,
        OWN + key.id,
        user_id=key.user_id,
        provider=key.provider,
        name=key.name,
        last_four=key.last_four,
        record=_encode_record(key.record),
        kid=key.sealed_by,
        created_at=rfc3339(key.created_at),
        base_url=key.base_url,
        models=json.dumps([[model.name, model.kind] for model in key.models]) if key.models else None,
        is_active=key.is_active,
    )


def _key(item: ProviderKeyItem) -> ProviderKey:
    return ProviderKey(
        id=item.sk.removeprefix(OWN),
        workspace_id=item.pk,
        user_id=item.user_id,
        provider=item.provider,
        name=item.name,
        last_four=item.last_four,
        record=_decode_record(item.record),
        sealed_by=item.kid,
        created_at=parse_rfc3339(item.created_at),
        base_url=item.base_url,
        models=tuple(CustomModel(*facts) for facts in json.loads(item.models or "[]")),
        is_active=item.is_active,
        last_used_at=parse_rfc3339(item.last_used_at) if item.last_used_at else None,
        last_test=KeyTest(parse_rfc3339(item.last_test_at), item.last_test_error) if item.last_test_at else None,
    )
