"""CSV and NDJSON, in parts: what is added is encoded at once, and taken when it is enough for a part. No part needs to
know another, so the job can go on in another process. A Parquet file is made of the rows when they are complete."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from atelier.exports.columns import Column, ColumnType, Value
from atelier.exports.model import ExportFormat

Row = Sequence[Value]
# What a spreadsheet takes for the beginning of a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class Encoder(Protocol):
    """Encodes rows as a file that is written in parts."""

    @property
    def size_bytes(self) -> int:
        """How much can be taken."""
        ...

    def add(self, rows: Iterable[Row]) -> None: ...

    def take(self) -> bytes:
        """The next part: what was added since the last one."""
        ...


def encoder_of(format: ExportFormat, columns: tuple[Column, ...], *, is_first: bool) -> Encoder:
    """The encoder of a file, or of the rest of one."""
    if format is ExportFormat.CSV:
        return CsvEncoder(columns, has_header=is_first)
    return NdjsonEncoder(columns, has_documents=format is ExportFormat.NDJSON)


class _TextEncoder:
    """Parts of text."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self.size_bytes = 0

    def _append(self, text: str) -> None:
        # Half of a surrogate pair, which a provider may send, has no UTF-8 form.
        chunk = text.encode("utf-8", "backslashreplace")
        self._chunks.append(chunk)
        self.size_bytes += len(chunk)

    def take(self) -> bytes:
        """What was added since the last part."""
        part = b"".join(self._chunks)
        self._chunks, self.size_bytes = [], 0
        return part


class CsvEncoder(_TextEncoder):
    """CSV by RFC 4180, UTF-8, with a header line. None is an empty cell, a number is a number. A free text that a
    spreadsheet would take for a formula begins with an apostrophe, which stays when the file is read by a program."""

    def __init__(self, columns: tuple[Column, ...], *, has_header: bool) -> None:
        super().__init__()
        self._free = [place for place, column in enumerate(columns) if column.is_free]
        self._booleans = [place for place, column in enumerate(columns) if column.type is ColumnType.BOOLEAN]
        if has_header:
            self._write([[column.name for column in columns]])

    def add(self, rows: Iterable[Row]) -> None:
        """Encode rows."""
        free, booleans, cells = self._free, self._booleans, list[list[Value]]()
        for row in rows:
            cell = list(row)
            for place in free:
                text = cell[place]
                if text and str(text).startswith(_FORMULA_STARTS):
                    cell[place] = f"'{text}"
            for place in booleans:
                cell[place] = None if cell[place] is None else str(cell[place]).lower()
            cells.append(cell)
        self._write(cells)

    def _write(self, cells: list[Any]) -> None:
        text = io.StringIO()
        csv.writer(text).writerows(cells)
        self._append(text.getvalue())


class NdjsonEncoder(_TextEncoder):
    """One JSON object a line, UTF-8, with every column. has_documents: JSON is part of the object; otherwise it is
    text, and half of a surrogate pair is text too, as in a file whose texts have no escapes."""

    def __init__(self, columns: tuple[Column, ...], *, has_documents: bool) -> None:
        super().__init__()
        self._names = [column.name for column in columns]
        self._has_documents = has_documents
        self._documents = [column.name for column in columns if column.type is ColumnType.JSON]
        self._encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode

    def add(self, rows: Iterable[Row]) -> None:
        """Encode rows."""
        names, encode, lines = self._names, self._encode, list[str]()
        for row in rows:
            fields: dict[str, Any] = dict(zip(names, row, strict=True))
            if self._has_documents:
                for name in self._documents:
                    fields[name] = json.loads(fields[name]) if fields[name] is not None else None
                line = encode(fields)
            else:
                line = encode(fields)
                if not _is_utf8(line):
                    line = encode({name: _without_halves(value) for name, value in fields.items()})
            lines.append(line)
        if lines:
            self._append("\n".join(lines) + "\n")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _without_halves(value: Value) -> Value:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
