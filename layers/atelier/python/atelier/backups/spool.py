"""Items of chained tables in a temporary database, so that a chain can be read in its order with bounded memory,
whatever the order of the files. The database is SQLite's: it lies in memory while it is small, and then on the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from atelier.backups.lines import RawItem, read_line


class ItemSpool:
    """Items by table, owner (`pk`) and key (`sk`)."""

    def __init__(self) -> None:
        # An empty name is a temporary database, which is gone with its connection.
        self._database = sqlite3.connect("")
        self._database.execute(
            "CREATE TABLE items (name TEXT, owner TEXT, key TEXT, line BLOB, PRIMARY KEY (name, owner, key))"
            " WITHOUT ROWID"
        )

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def add(self, table: str, item: RawItem, line: bytes) -> bool:
        """Add an item; whether it is the first with its key."""
        row = (table, item["pk"]["S"], item["sk"]["S"], line)
        return self._database.execute("INSERT OR IGNORE INTO items VALUES (?, ?, ?, ?)", row).rowcount == 1

    def owners(self, table: str) -> Iterator[str]:
        """The owners of a table's items, in order."""
        after = ""
        while True:
            # A statement for each owner: others read the same connection between two of them.
            found = self._database.execute(
                "SELECT owner FROM items WHERE name = ? AND owner > ? ORDER BY owner LIMIT 1", (table, after)
            ).fetchone()
            if found is None:
                return
            after = str(found[0])
            yield after

    def get(self, table: str, owner: str, key: str) -> RawItem | None:
        """One item."""
        found = self._database.execute(
            "SELECT line FROM items WHERE name = ? AND owner = ? AND key = ?", (table, owner, key)
        ).fetchone()
        return read_line(found[0]) if found else None

    def below(self, table: str, owner: str, prefix: str) -> Iterator[tuple[str, RawItem]]:
        """The keys that begin with a prefix, and their items, in order."""
        bounds = (table, owner, prefix, prefix + "\U0010ffff")
        rows = self._database.execute(
            "SELECT key, line FROM items WHERE name = ? AND owner = ? AND key >= ? AND key < ? ORDER BY key", bounds
        )
        for key, line in rows:
            yield str(key), read_line(line)
