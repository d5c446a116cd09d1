"""An account in a file, so that it survives the process: one row for each object, in a SQLite database.

The server saves before anything of a change leaves the process: before a request is answered, and before a webhook is
sent. So nobody has ever seen what a later start does not know, however this process ends.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from infra.simulators.stripe.account import Account, Object, Policy
from infra.simulators.stripe.cards import TestCard
from infra.simulators.stripe.idempotency import IdempotencyKeys, KeptAnswer
from infra.simulators.stripe.webhooks import deliveries_of

# Stripe, too, lists the events of the last 30 days.
EVENTS_KEPT_SECONDS = 30 * 24 * 3600
SCHEMA = "CREATE TABLE IF NOT EXISTS row (kind TEXT, id TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, id))"
UPSERT = "INSERT INTO row VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body"
Key = tuple[str, str]


class UnreadableAccount(Exception):
    """The file holds no account that this program can read; the text names it."""


@dataclass
class SavedAccount:
    """An account as it was last saved, with its idempotency keys. offset_seconds: by how much the account's own time is
    ahead of the machine's."""

    account: Account
    keys: IdempotencyKeys
    offset_seconds: int


class AccountFile:
    """The file of an account. Whoever calls it holds the simulator's lock. addresses: the URLs, without a trailing
    slash, that stored URLs begin with; those of an earlier run are replaced by these."""

    def __init__(self, path: Path, addresses: tuple[str, ...]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._path = path
        self._addresses = list(addresses)
        # What was written last, by row: a row is written again when this differs.
        self._written: dict[Key, object] = {}
        # Each statement is its own transaction unless `_transaction` says otherwise.
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        with self._readable():
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute(SCHEMA)

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
            raise UnreadableAccount(f"{self._path} cannot be read as a Stripe account: {error}") from error

    # ---- reading -----------------------------------------------------------------------------------------------------

    def load(self, url: str, now: int) -> SavedAccount | None:
        """The saved account with its pages at this URL; None when nothing was saved yet. now: the machine's time (Unix
        seconds). Raises UnreadableAccount."""
        with self._readable():
            facts = next((body for _, body in self._rows("facts")), None)
            if facts is None:
                return None
            moved = [[*pair] for pair in zip(facts["addresses"], self._addresses, strict=True) if pair[0] != pair[1]]
            policy = Policy(**facts["policy"])
            policy.retry_days = tuple(policy.retry_days)
            account = Account(url, now + facts["offset"], facts["seed"], facts["country"], policy)
            account._ids = facts["ids"]
            account.private = dict(self._rows("private", moved))
            for id, obj in self._rows("object", moved):
                if _is_old(obj, account.private.get(id, {}), now):
                    continue
                account.keep(obj)
                if obj["object"] == "event":
                    account.events.append(obj)
            account.private = {id: found for id, found in account.private.items() if id in account.objects}
            account.cards = {id: TestCard(**body) for id, body in self._rows("card")}
            keys = IdempotencyKeys({id: _answer(body) for id, body in self._rows("key", moved)})
            self._written = {} if moved else dict(_marks(account, keys))
        return SavedAccount(account, keys, facts["offset"])

    def _rows(self, kind: str, moved: list[list[str]] | None = None) -> Iterator[tuple[str, Any]]:
        found = self._database.execute("SELECT id, body FROM row WHERE kind = ? ORDER BY rowid", (kind,)).fetchall()
        for id, body in found:
            yield id, json.loads(_with_addresses(body, moved or []))

    # ---- writing -----------------------------------------------------------------------------------------------------

    def save(self, account: Account, keys: IdempotencyKeys, offset_seconds: int) -> None:
        """Writes what has changed, in one transaction. Raises sqlite3.Error."""
        marks = dict(_marks(account, keys))
        changed = [row for row, mark in marks.items() if self._written.get(row) != mark]
        gone = self._written.keys() - marks.keys()
        facts = {
            "addresses": self._addresses,
            "country": account.country,
            "ids": account._ids,
            "offset": offset_seconds,
            "policy": asdict(account.policy),
            "seed": account.seed,
        }
        with self._transaction():
            self._database.execute(UPSERT, ("facts", "", json.dumps(facts)))
            self._database.executemany(UPSERT, [(*row, _body(account, keys, row)) for row in changed])
            self._database.executemany("DELETE FROM row WHERE kind = ? AND id = ?", list(gone))
        self._written = marks

    def save_delivery(self, account: Account, event_id: str) -> None:
        """Writes how the deliveries of one event stand. Raises sqlite3.Error."""
        rows = [("object", event_id), ("private", event_id)]
        with self._transaction():
            self._database.executemany(UPSERT, [(*row, _body(account, IdempotencyKeys(), row)) for row in rows])
        for row in rows:
            self._written[row] = _mark(account, row)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def _marks(account: Account, keys: IdempotencyKeys) -> Iterator[tuple[Key, object]]:
    """All rows, each with a value that changes with its body."""
    for id in account.objects:
        yield ("object", id), _mark(account, ("object", id))
    for id, facts in account.private.items():
        if facts and id in account.objects:
            yield ("private", id), _mark(account, ("private", id))
    for id in account.cards:
        yield ("card", id), True
    for id, answer in keys.kept.items():
        if answer.status is not None:
            yield ("key", id), answer.created


def _mark(account: Account, row: Key) -> object:
    kind, id = row
    obj = account.objects[id]
    if obj["object"] == "event":
        # Of an event only its deliveries change.
        return obj["pending_webhooks"], sum(each["tries"] for each in deliveries_of(account, obj).values())
    return hash(json.dumps(obj if kind == "object" else account.private[id]))


def _body(account: Account, keys: IdempotencyKeys, row: Key) -> str:
    kind, id = row
    if kind == "key":
        kept = keys.kept[id]
        return json.dumps({**vars(kept), "body": kept.body.decode()})
    found: Object = {"object": account.objects, "private": account.private}.get(kind, {})
    return json.dumps(asdict(account.cards[id]) if kind == "card" else found[id])


def _answer(body: Object) -> KeptAnswer:
    return KeptAnswer(**{**body, "body": body["body"].encode()})


def _is_old(obj: Object, facts: Object, now: int) -> bool:
    published = facts.get("published_at", now)
    return obj["object"] == "event" and not obj["pending_webhooks"] and published < now - EVENTS_KEPT_SECONDS


def _with_addresses(text: str, moved: list[list[str]]) -> str:
    """The text with the beginnings of URLs replaced, where they are plain and where they are part of a form."""
    for old, new in moved:
        for before, after in ((old, new), (quote(old, safe=""), quote(new, safe=""))):
            text = re.sub(re.escape(before) + r"(?!\d)", after, text)
    return text
