"""The lines of table files: DynamoDB's JSON, as `ImportTable` reads it and `ExportTableToPointInTime` writes it."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from atelier.backups.model import CHAINED, BackupFile

# An item in DynamoDB's JSON; binary values are bytes.
RawItem = Mapping[str, Mapping[str, Any]]
GZIP = 31  # zlib's number for the gzip format, whose header then has no time: equal lines give equal bytes.
SEAL_PREFIX = "seal#"


class LineUnreadable(Exception):
    """A line is no item in DynamoDB's JSON."""


def item_line(item: RawItem) -> bytes:
    """The line of an item, with its line break."""
    text = json.dumps({"Item": item}, separators=(",", ":"), default=_base64)
    return text.encode() + b"\n"


def read_line(line: bytes) -> RawItem:
    """The inverse of `item_line`. Raises LineUnreadable."""
    try:
        item = json.loads(line)["Item"]
        return {name: _with_bytes(value) for name, value in item.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LineUnreadable(str(error)) from error


def _with_bytes(value: Mapping[str, Any]) -> dict[str, Any]:
    (kind, content), *others = value.items()
    if others:
        raise LineUnreadable("a value has two types")
    readers: dict[str, Callable[[Any], Any]] = {
        "B": base64.b64decode,
        "BS": lambda texts: [base64.b64decode(text) for text in texts],
        "L": lambda values: [_with_bytes(each) for each in values],
        "M": lambda values: {name: _with_bytes(each) for name, each in values.items()},
    }
    return {kind: readers[kind](content) if kind in readers else content}


def fingerprint(item: RawItem) -> int:
    """A number of 256 bits that equal items share, in whatever order their attributes and sets are. The sum of those of
    a table is the same in whatever order it is read."""
    text = json.dumps(_ordered(item), separators=(",", ":"), sort_keys=True, default=_base64)
    return int.from_bytes(hashlib.sha256(text.encode()).digest())


def _ordered(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: _ordered_value(value) for name, value in values.items()}


def _ordered_value(value: Mapping[str, Any]) -> dict[str, Any]:
    ((kind, content),) = value.items()
    if kind in ("SS", "NS", "BS"):
        return {kind: sorted(content)}
    if kind == "L":
        return {kind: [_ordered_value(each) for each in content]}
    return {kind: _ordered(content) if kind == "M" else content}


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


class GzipFile:
    """A file of lines that is compressed while it grows, so that only the compressed bytes are kept."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(wbits=GZIP)
        self._data = bytearray()
        self.items = 0

    def add(self, lines: Iterable[bytes]) -> None:
        """Add whole lines."""
        for line in lines:
            self._data += self._compressor.compress(line)
            self.items += 1

    @property
    def size_bytes(self) -> int:
        """The compressed bytes so far, but for those that the compressor still holds."""
        return len(self._data)

    def end(self) -> bytes:
        """The bytes of the file; nothing can be added any more."""
        return bytes(self._data + self._compressor.flush())


def describe_file(key: str, data: bytes, items: int) -> BackupFile:
    """The description of a file with these bytes."""
    return BackupFile(key, len(data), hashlib.sha256(data).hexdigest(), items)


class HeadCollector:
    """The newest seal of each chain among the items that it has seen. A file of heads has a line for each: {"owner",
    "number", "hash"}; of several lines for one owner the highest number counts."""

    def __init__(self) -> None:
        self._heads: dict[str, tuple[int, str]] = {}

    def see(self, item: RawItem) -> None:
        """Look at an item of a chained table."""
        key = item["sk"].get("S", "")
        if not key.startswith(SEAL_PREFIX):
            return
        owner, number = item["pk"]["S"], int(key.removeprefix(SEAL_PREFIX))
        if number > self._heads.get(owner, (0, ""))[0]:
            self._heads[owner] = number, str(json.loads(item["seal"]["S"])["hash"])

    def lines(self) -> list[bytes]:
        """The lines of the file of heads."""
        return [
            json.dumps({"owner": owner, "number": number, "hash": hash}, separators=(",", ":")).encode() + b"\n"
            for owner, (number, hash) in sorted(self._heads.items())
        ]


def has_chains(table: str) -> bool:
    """Whether a table's items are chained by hashes."""
    return table in CHAINED
