"""Checks the proof of a wallet offline, with nothing but Python's standard library: this file can be copied anywhere.

    python -m atelier.ledger.verify PROOF.json [MORE-PAGES.json …] [--head NUMBER:HASH …]

A file is one response of GET /api/credits/proof, or its `data`; a long proof has several pages, one in each file. The
check computes anew the digest of every entry, the chain of seals over them, every sum (by account, by grant, and zero
for each entry), the open holds, and the wallet itself. It prints the first mismatch. `--head` is the head of an earlier
proof that was noted then: an attacker who rewrote the whole chain could not make it pass through that head.

Exit status: 0 = everything agrees, 1 = there is a mismatch, 2 = the files cannot be read as a proof.

Hashes are computed over JSON with sorted keys and no spaces (RFC 8785, as far as our values need it). An *entry* here
is one movement of the ledger with its lines. A *seal* lists the movements that it covers as [order, key, digest], and
the sums of everything sealed so far: by account, and by grant as [remaining, held, amount, source, priority,
granted_at, expires_at]."""

from __future__ import annotations

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


def seal_hash(workspace_id: str, seal: Data) -> str:
    """The hash of a seal, over all its fields (also the previous seal's hash) and the workspace's id."""
    content = {name: value for name, value in seal.items() if name != "hash"}
    return digest({**content, "workspace_id": workspace_id})


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
class ChainCheck:
    """The state of the check: the sums and keys of all seals checked so far."""

    workspace_id: str
    number: int = 0
    hash: str | None = None
    at: str = ""
    lag_milliseconds: int = 0
    count: int = 0
    balance: dict[str, int] = field(default_factory=dict[str, int])
    grants: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    heads: dict[int, str] = field(default_factory=dict[int, str])
    keys: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    holds: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])

    def check_page(self, page: Data) -> None:
        """Check the seals of one page, and its entries in the order in which they were sealed. Raises Unsound."""
        entries, position = page["entries"], 0
        for seal in page["seals"]:
            self._check_link(seal)
            for movement in seal["movements"]:
                if position == len(entries):
                    raise ProofMismatch(f"entry {self._next_number()}, {movement[1]}: it was sealed and is not there")
                self._check_entry(entries[position], movement, seal)
                position += 1
            self._check_sums(seal)
        if position != len(entries):
            raise ProofMismatch(f"entry {self._next_number()}, {entries[position]['key']}: no seal covers it")

    def check_wallet(self, wallet: Data) -> None:
        """Check that the wallet's counters are the sums of all entries. Raises Unsound."""
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

    def check_head(self, number: int, hash: str) -> None:
        """Check that the chain contains a seal with this number and hash. Raises Unsound."""
        if self.heads.get(number) != hash:
            raise ProofMismatch(f"seal {number}: the chain does not pass through this head, {hash}")

    def _check_link(self, seal: Data) -> None:
        place = f"seal {self.number + 1}"
        _check_fields(seal, SEAL_FIELDS, place)
        if not _is_equal(seal["number"], self.number + 1):
            raise ProofMismatch(f"{place}: it is not there; number {seal['number']} stands in its place")
        if seal["previous"] != self.hash:
            raise ProofMismatch(f"{place}: it does not follow the one before")
        if seal["hash"] != seal_hash(self.workspace_id, seal):
            raise ProofMismatch(f"{place}: its hash is not that of what it says")
        if seal["at"] < self.at:
            raise ProofMismatch(f"{place}: it is older than the one before")
        if not seal["movements"] or not _is_equal(seal["count"], self.count + len(seal["movements"])):
            raise ProofMismatch(f"{place}: it counts {seal['count']} entries up to there")
        self.number, self.hash, self.at = seal["number"], seal["hash"], seal["at"]
        self.heads[seal["number"]] = seal["hash"]

    def _check_entry(self, entry: Data, movement: list[str], seal: Data) -> None:
        order, key, sealed_digest = movement
        name = f"entry {self._next_number()}, {key}"
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

    def _next_number(self) -> int:
        return self.count + 1


def verify(pages: list[Any], heads: list[tuple[int, str]] | None = None) -> str:
    """Check the pages of one proof, given in any order, and return a summary of one line. `heads`: (number, hash) noted
    from earlier proofs. Raises Unsound with the first mismatch, or Unreadable."""
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
            if page["workspace_id"] != chain.workspace_id:
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
        print(verify([json.loads(Path(name).read_text("utf-8")) for name in files], heads))
    except ProofMismatch as fault:
        print(f"not sound: {fault}")
        return 1
    except (ProofUnreadable, OSError, ValueError, RecursionError) as fault:
        print(f"cannot be checked: {fault}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
