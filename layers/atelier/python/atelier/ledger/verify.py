"""Checks the proof of a wallet or of an audit log offline. This file alone is needed, with Python's standard library.

    python -m atelier.ledger.verify PROOF.json [MORE-PAGES.json …] [--head NUMBER:HASH …]
    python -m atelier.ledger.verify AUDIT.ndjson [ARCHIVE.ndjson.gz …] [--head NUMBER:HASH …]

*Of a wallet*: a file is one response of GET /api/credits/proof, or its `data`; a long proof has several pages, one in
each file. *Of an audit log*: a file is one response of GET …/audit?format=proof, or one file of the archive, in any
order. docs/proof.md describes both.

The check of a wallet computes anew the digest of every entry, the chain of seals over them, every sum (by account, by
grant, and zero for each entry), the open holds, and the wallet itself. The check of an audit log computes anew the
digest of every event and the chain; its first seal may have a number above 1, because earlier ones were archived. Both
print the first mismatch. `--head` is one noted from an earlier proof: who rewrites the whole chain cannot reach it.

Exit status: 0 = everything agrees, 1 = there is a mismatch, 2 = the files cannot be read as a proof.

Hashes are computed over JSON with sorted keys and no spaces (RFC 8785, as far as our values need it). An *entry* here
is one movement of the ledger with its lines. A *seal* lists the movements that it covers as [order, key, digest], and
the sums of everything sealed so far: by account, and by grant as [remaining, held, amount, source, priority,
granted_at, expires_at]."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

Data = dict[str, Any]

ACCOUNTS = ("available", "held", "issued", "revenue", "expired", "operator_loss", "debt")
REMAINING, HELD, AMOUNT, SOURCE, PRIORITY, GRANTED_AT, EXPIRES_AT = range(7)
SEAL_FIELDS = {"number", "previous", "at", "lag_milliseconds", "count", "movements", "balance", "grants", "hash"}
PAGE_FIELDS = {"workspace_id", "wallet", "seals", "entries", "head", "next_cursor"}
EVENT_SEAL_FIELDS = {"number", "previous", "at", "count", "events", "hash"}
WALLET_FIELDS = {"available", "held", "debt", "holds_open", "written", "grants"}


class ProofMismatch(Exception):
    """The proof has a mismatch; the text names it."""


class ProofUnreadable(Exception):
    """The input is not a proof, or a page of it is missing."""


# ---- the rules of sealing, which the ledger uses too -----------------------------------------------------------------


def canonical_json(value: Any) -> bytes:
    """The canonical JSON of a value: the bytes that are hashed."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def digest(value: Any) -> str:
    """SHA-256 of the canonical form, in hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def seal_hash(id: str, seal: Data, *, owner: str = "workspace_id") -> str:
    """The hash of a seal, over all its fields (also the previous seal's hash) and its owner's id. owner: the field in
    which that id is hashed; `log` for seals of events."""
    content = {name: value for name, value in seal.items() if name != "hash"}
    return digest({**content, owner: id})


def milliseconds(at: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 time."""
    elapsed = datetime.fromisoformat(at.replace("Z", "+00:00")) - datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017
    return (elapsed.days * 86400 + elapsed.seconds) * 1000 + elapsed.microseconds // 1000


def add_movement(movement: Data, balance: dict[str, int], grants: dict[str, list[Any]]) -> None:
    """Add one movement to the sums by account (`balance`) and by grant, in place."""
    facts = movement["facts"]
    is_grant = movement["kind"] in ("grant", "transfer") and "source" in facts
    for entry in movement["entries"]:
        account, amount, grant = entry["account"], entry["amount"], entry["grant"]
        balance[account] = balance.get(account, 0) + amount
        if grant is None:
            continue
        state = grants.setdefault(grant, [0, 0, 0, None, None, None, None])
        if account == "available":
            state[REMAINING] += amount
        elif account == "held":
            state[HELD] += amount
        if is_grant and account == "available" and amount > 0:
            state[AMOUNT] += amount
            state[SOURCE], state[PRIORITY] = facts["source"], facts.get("priority")
            state[GRANTED_AT], state[EXPIRES_AT] = state[GRANTED_AT] or movement["at"], facts.get("expires_at")


def drop_zero_sums(balance: dict[str, int], grants: dict[str, list[Any]]) -> None:
    """Remove accounts and grants whose sums are zero, in place: a seal does not list them."""
    for account in [account for account, amount in balance.items() if amount == 0]:
        del balance[account]
    for grant in [grant for grant, state in grants.items() if not state[REMAINING] and not state[HELD]]:
        del grants[grant]


# ---- the check -------------------------------------------------------------------------------------------------------


@dataclass
class Chain:
    """The state of a check: the newest seal so far. `count`: what is sealed up to it."""

    id: str
    number: int = 0
    hash: str | None = None
    at: str = ""
    count: int = 0
    heads: dict[int, str] = field(default_factory=dict[int, str])

    def check_head(self, number: int, hash: str) -> None:
        """Check that the chain contains a seal with this number and hash. Raises ProofMismatch."""
        if self.heads.get(number) != hash:
            raise ProofMismatch(f"seal {number}: the chain does not pass through this head, {hash}")

    def check_link(self, seal: Data, fields: set[str], covered: str, *, noun: str, owner: str) -> None:
        """Check that a seal follows the one before. covered: the field with what it covers, which are called `noun`;
        owner: see `seal_hash`. Raises ProofMismatch."""
        place = f"seal {self.number + 1}"
        _check_fields(seal, fields, place)
        if not _is_equal(seal["number"], self.number + 1):
            raise ProofMismatch(f"{place}: it is not there; number {seal['number']} stands in its place")
        if seal["previous"] != self.hash:
            raise ProofMismatch(f"{place}: it does not follow the one before")
        if seal["hash"] != seal_hash(self.id, seal, owner=owner):
            raise ProofMismatch(f"{place}: its hash is not that of what it says")
        if seal["at"] < self.at:
            raise ProofMismatch(f"{place}: it is older than the one before")
        if not seal[covered] or not _is_equal(seal["count"], self.count + len(seal[covered])):
            raise ProofMismatch(f"{place}: it counts {seal['count']} {noun} up to there")
        self.number, self.hash, self.at = seal["number"], seal["hash"], seal["at"]
        self.heads[seal["number"]] = seal["hash"]

    def next_number(self) -> int:
        """The number of the next entry or event."""
        return self.count + 1


@dataclass
class ChainCheck(Chain):
    """The state of a wallet's check: the sums and keys of all seals checked so far."""

    lag_milliseconds: int = 0
    balance: dict[str, int] = field(default_factory=dict[str, int])
    grants: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    keys: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    holds: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])

    def check_page(self, page: Data) -> None:
        """Check the seals of one page, and its entries in the order in which they were sealed. Raises ProofMismatch."""
        entries, position = page["entries"], 0
        for seal in page["seals"]:
            self.check_link(seal, SEAL_FIELDS, "movements", noun="entries", owner="workspace_id")
            for movement in seal["movements"]:
                if position == len(entries):
                    raise ProofMismatch(f"entry {self.next_number()}, {movement[1]}: it was sealed and is not there")
                self._check_entry(entries[position], movement, seal)
                position += 1
            self._check_sums(seal)
        if position != len(entries):
            raise ProofMismatch(f"entry {self.next_number()}, {entries[position]['key']}: no seal covers it")

    def check_wallet(self, wallet: Data) -> None:
        """Check that the wallet's counters are the sums of all entries. Raises ProofMismatch."""
        _check_fields(wallet, WALLET_FIELDS, "the wallet")
        grants = {grant: state[: HELD + 1] for grant, state in self.grants.items()}
        expected: Data = {
            "written": self.count,
            "available": self.balance.get("available", 0),
            "held": self.balance.get("held", 0),
            "debt": -self.balance.get("debt", 0),
            "holds_open": len(self.holds),
            "grants": grants,
        }
        for name, value in expected.items():
            if not _is_equal(wallet[name], value):
                raise ProofMismatch(f"the wallet: {name} is {wallet[name]} and its entries come to {value}")
        for name in ("available", "held", "debt"):
            if expected[name] < 0:
                raise ProofMismatch(f"the wallet: {name} is below zero")
        for grant, (remaining, held) in grants.items():
            if remaining < 0 or held < 0:
                raise ProofMismatch(f"the wallet: grant {grant} is below zero")
        for position, name in ((REMAINING, "available"), (HELD, "held")):
            if sum(state[position] for state in grants.values()) != expected[name]:
                raise ProofMismatch(f"the wallet: its grants do not come to what is {name}")

    def _check_entry(self, entry: Data, movement: list[str], seal: Data) -> None:
        order, key, sealed_digest = movement
        name = f"entry {self.next_number()}, {key}"
        if (entry["order"], entry["key"]) != (order, key):
            raise ProofMismatch(f"{name}: {entry['key']} stands in its place")
        if digest(entry) != sealed_digest:
            raise ProofMismatch(f"{name}: its digest is not the sealed one")
        # Uniqueness is checked on order and key: the key of a received transfer was chosen by its payer, and another
        # payer may choose the same key.
        if (order, key) in self.keys:
            raise ProofMismatch(f"{name}: it happened before")
        if any(line["account"] not in ACCOUNTS or type(line["amount"]) is not int for line in entry["entries"]):
            raise ProofMismatch(f"{name}: a line is no amount on an account")
        if sum(line["amount"] for line in entry["entries"]) != 0:
            raise ProofMismatch(f"{name}: its lines do not sum to zero")
        if entry["at"] > seal["at"]:
            raise ProofMismatch(f"{name}: it is younger than its seal")
        self.keys.add((order, key))
        self.count += 1
        lag = milliseconds(seal["at"]) - milliseconds(entry["at"])
        self.lag_milliseconds = max(self.lag_milliseconds, lag)
        add_movement(entry, self.balance, self.grants)
        if key.startswith(("hold#", "settle#")):
            self._check_hold(entry, name)

    def _check_hold(self, entry: Data, name: str) -> None:
        # A hold and its end cancel out grant by grant, whichever of the two was sealed first.
        reference = entry["key"].partition("#")[2]
        open_lines = self.holds.pop(reference, None)
        held = dict(open_lines or {})
        for line in entry["entries"]:
            if line["account"] == "held":
                held[line["grant"]] = held.get(line["grant"], 0) + line["amount"]
        if open_lines is None:
            self.holds[reference] = held
        elif any(held.values()):
            raise ProofMismatch(f"{name}: it does not end what was held")

    def _check_sums(self, seal: Data) -> None:
        drop_zero_sums(self.balance, self.grants)
        place = f"seal {self.number}"
        for name in ("balance", "grants", "lag_milliseconds"):
            if not _is_equal(seal[name], getattr(self, name)):
                raise ProofMismatch(f"{place}: its {name} is not what the entries come to")


def verify(pages: list[Any], heads: list[tuple[int, str]] | None = None) -> str:
    """Check the pages of one proof, given in any order, and return a summary of one line. `heads`: (number, hash) noted
    from earlier proofs. Raises ProofMismatch with the first mismatch, or ProofUnreadable."""
    unordered = [_parse_page(page) for page in pages]
    if not unordered:
        raise ProofUnreadable("no page was given")
    try:
        # A last page may have no seals of its own.
        ordered = sorted(unordered, key=lambda page: page["seals"][0]["number"] if page["seals"] else sys.maxsize)
    except (KeyError, IndexError, TypeError) as error:
        raise ProofMismatch(f"a seal is malformed ({error!r})") from error

    chain = ChainCheck(ordered[0]["workspace_id"])
    try:
        for page in ordered:
            if page["workspace_id"] != chain.id:
                raise ProofMismatch("the pages are of different workspaces")
            chain.check_page(page)
            if page["head"] is not None:
                _check_fields(page["head"], {"number", "hash", "count"}, "the head")
        _check_end(chain, ordered)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ProofMismatch(f"after entry {chain.count}, in seal {chain.number + 1}: malformed ({error!r})") from error

    for number, hash in heads or ():
        chain.check_head(number, hash)
    shown = f"{chain.number} {chain.hash}" if chain.hash else "none"
    wallet = ordered[-1]["wallet"]
    balance = ", ".join(f"{name} {wallet[name]}" for name in ("available", "held", "debt"))
    return f"sound: {chain.count} entries in {chain.number} seals; {balance}; head {shown}"


def _check_end(chain: ChainCheck, pages: list[Data]) -> None:
    for page in pages[:-1]:
        if page["next_cursor"] is None or page["wallet"] is not None:
            raise ProofMismatch("a page that says it is the last is followed by another")
        chain.check_head(page["head"]["number"], page["head"]["hash"])
    last = pages[-1]
    if last["next_cursor"] is not None:
        raise ProofUnreadable("the last page is not there: ask for the next one with next_cursor")
    head: Data | None = {"number": chain.number, "hash": chain.hash, "count": chain.count} if chain.hash else None
    if not _is_equal(last["head"], head):
        raise ProofMismatch(f"the head: it is not the newest seal, {chain.number}")
    chain.check_wallet(last["wallet"])


# ---- the check of an audit log ---------------------------------------------------------------------------------------


@dataclass
class EventCheck(Chain):
    """The state of an audit log's check. `first`: the number of the first seal that was given."""

    first: int = 0
    ids: set[str] = field(default_factory=set[str])
    # (place, id) of an event that an erasure has changed → the event that has to list it.
    reduced: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    listed: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def begin(self, seal: Data) -> None:
        """Begin with a seal; the ones before it are not checked."""
        self.first, self.number, self.hash = seal["number"], seal["number"] - 1, seal["previous"]
        self.count = seal["count"] - len(seal["events"])
        if self.first == 1 and self.hash is not None:
            raise ProofMismatch("seal 1: it does not follow the one before")

    def check_seal(self, seal: Data, events: list[Data]) -> None:
        """Check a seal with its events. A seal that another file has too is checked again, and counts once."""
        is_known = seal["number"] in self.heads
        if is_known:
            self.check_head(seal["number"], seal["hash"])
            if seal["hash"] != seal_hash(self.id, seal, owner="log"):
                raise ProofMismatch(f"seal {seal['number']}: its hash is not that of what it says")
        else:
            self.check_link(seal, EVENT_SEAL_FIELDS, "events", noun="events", owner="log")
        sealed = [id for id, _ in seal["events"]]
        first_number = seal["count"] - len(sealed) + 1
        given = [event["id"] for event in events]
        for position in range(max(len(sealed), len(given))):
            name = f"event {first_number + position}, "
            if position == len(sealed) or (position < len(given) and given[position] not in sealed):
                raise ProofMismatch(f"{name}{given[position]}: no seal covers it")
            id, sealed_digest = seal["events"][position]
            name += id
            if id not in given:
                raise ProofMismatch(f"{name}: it was sealed and is not there")
            if given[position] != id:
                raise ProofMismatch(f"{name}: {given[position]} stands in its place")
            if isinstance(events[position].get("erased"), str):
                self.reduced[name, id] = events[position]["erased"]
            elif digest(events[position]) != sealed_digest:
                raise ProofMismatch(f"{name}: its digest is not the sealed one")
            elif events[position]["action"] == "audit.redacted":
                self.listed[id] = list(events[position]["facts"]["events"])
            if events[position]["at"] > seal["at"]:
                raise ProofMismatch(f"{name}: it is younger than its seal")
            if not is_known and id in self.ids:
                raise ProofMismatch(f"{name}: it happened before")
            self.ids.add(id)
        self.count = max(self.count, seal["count"])

    def check_reduced(self) -> None:
        """Check that a sealed event lists each event that an erasure has changed."""
        for (name, id), by in self.reduced.items():
            if id not in self.listed.get(by, ()):
                raise ProofMismatch(f"{name}: {by} has changed it, and is not there or does not list it")


def verify_events(files: list[list[Any]], heads: list[tuple[int, str]] | None = None) -> str:
    """Check the files of one audit log, each as its lines, and return a summary of one line. `heads`: (number, hash)
    noted from earlier proofs. Raises ProofMismatch with the first mismatch, or ProofUnreadable."""
    unordered = [_parse_events(lines) for lines in files]
    chain = EventCheck(unordered[0].log)
    try:
        ordered = sorted(unordered, key=lambda file: file.first)
        for file in ordered:
            _check_event_file(file, chain)
        chain.check_reduced()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ProofMismatch(f"after event {chain.count}, in seal {chain.number + 1}: malformed ({error!r})") from error
    if ordered[-1].next_cursor is not None:
        raise ProofUnreadable("the last page is not there: ask for the next one with next_cursor")
    for number, hash in heads or ():
        if number < chain.first:
            raise ProofUnreadable(f"seal {number} is in an earlier file, which was not given")
        chain.check_head(number, hash)
    shown = f"{chain.number} {chain.hash}" if chain.hash else "none"
    begin = "" if chain.first < 2 else f", from seal {chain.first} on (earlier ones were not given)"
    reduced = f" ({len(chain.reduced)} without what named an erased person)" if chain.reduced else ""
    return f"sound: {len(chain.ids)} events{reduced} in {len(chain.heads)} seals{begin}; head {shown}"


def _check_event_file(file: _EventFile, chain: EventCheck) -> None:
    if file.log != chain.id:
        raise ProofMismatch("the files are of different logs")
    for seal, events in file.seals:
        if chain.first == 0:
            chain.begin(seal)
        chain.check_seal(seal, events)
    last = file.seals[-1][0] if file.seals else None
    head = {"number": last["number"], "hash": last["hash"], "count": last["count"]} if last else None
    if not _is_equal(file.head, head):
        raise ProofMismatch(f"the head: it is not the newest seal, {last['number'] if last else 'none'}")


@dataclass
class _EventFile:
    log: str
    seals: list[tuple[Data, list[Data]]]
    head: Data | None
    next_cursor: str | None

    @property
    def first(self) -> float:
        return self.seals[0][0]["number"] if self.seals else float("inf")


def _parse_events(lines: list[Any]) -> _EventFile:
    end = lines[-1]
    if not _has_fields(end, "head", "next_cursor"):
        raise ProofUnreadable("the end of the file is not there")
    file = _EventFile(str(lines[0]["log"]), [], end["head"], end["next_cursor"])
    for number, line in enumerate(lines[1:-1], 2):
        if _has_fields(line, "seal"):
            file.seals.append((line["seal"], []))
        elif _has_fields(line, "event") and file.seals:
            file.seals[-1][1].append(line["event"])
        else:
            raise ProofUnreadable(f"line {number} is neither a seal nor an event of one")
    return file


def _has_fields(line: Any, *fields: str) -> bool:
    return isinstance(line, dict) and set(cast(Data, line)) == set(fields)


# ---- the files -------------------------------------------------------------------------------------------------------


def _read(name: str) -> list[Any]:
    """The JSON values in a file: one, or one in each line."""
    data = Path(name).read_bytes()
    text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.split("\n") if line.strip()]


def _verify_files(names: list[str], heads: list[tuple[int, str]]) -> str:
    files = [_read(name) for name in names]
    if files and all(lines and _has_fields(lines[0], "log") for lines in files):
        return verify_events(files, heads)
    return verify([value for file in files for value in file], heads)


def _parse_page(page: Any) -> Data:
    if isinstance(page, dict) and "data" in page:
        page = cast(Any, page["data"])
    if not isinstance(page, dict) or set(cast(Data, page)) != PAGE_FIELDS:
        raise ProofUnreadable("this is no answer of /api/credits/proof")
    return cast(Data, page)


def _check_fields(value: Any, fields: set[str], place: str) -> None:
    if not isinstance(value, dict) or set(cast(Data, value)) != fields:
        raise ProofMismatch(f"{place}: it does not have its fields, {', '.join(sorted(fields))}")


def _is_equal(one: Any, other: Any) -> bool:
    # Compared by canonical JSON, because with == True, 1 and 1.0 would be equal although their hashes differ.
    return canonical_json(one) == canonical_json(other)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    files: list[str] = []
    heads: list[tuple[int, str]] = []
    rest = iter(arguments)
    try:
        for argument in rest:
            if argument == "--head":
                number, _, hash = next(rest, "").partition(":")
                heads.append((int(number), hash))
            else:
                files.append(argument)
        print(_verify_files(files, heads))
    except ProofMismatch as fault:
        print(f"not sound: {fault}")
        return 1
    except (ProofUnreadable, OSError, EOFError, ValueError, RecursionError) as fault:
        print(f"cannot be checked: {fault}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
