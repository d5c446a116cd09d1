"""Check a backup by its files alone, in a bucket or in a folder: the manifest's signature; size, SHA-256 and lines of
each file; every wallet's ledger by the ledger's own verifier, and every audit log's chain; and that both pass through
the heads that were noted. What is wrong is a list of sentences that name the file, the wallet or the log.

Memory is bounded by one file's chunk and one wallet's keys; items of chained tables lie in `spool.py`. A restore that
has loaded the tables checks them by the same functions, with the items read from there."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from atelier.audit_log import seals as audit_seals
from atelier.backups.lines import GZIP, LineUnreadable, RawItem, has_chains, read_line
from atelier.backups.manifest import (
    MANIFEST_KEY,
    PUBLIC_KEY_KEY,
    SIGNATURE_KEY,
    Manifest,
    ManifestFile,
    ManifestUnreadable,
    read_manifest,
)
from atelier.backups.ports import BackupFileMissing, BackupFolder, ChainForms
from atelier.backups.signature import ManifestSignature, SignatureInvalid, check_manifest
from atelier.backups.spool import ItemSpool
from atelier.dataclass import dataclass
from atelier.ledger import hash_chain
from atelier.ledger.verify import ChainCheck, EventCheck, ProofMismatch

LEDGER, AUDIT = "ledger", "audit"
WALLET, MOVEMENT, SEAL, EVENT = "wallet", "movement#", "seal#", "event#"
# Malformed items make the readers of a chain fail in these ways; it is a finding about the chain, not a fault of ours.
MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError, LineUnreadable)


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a check has found. problems: sentences, each with what it is about; none = the backup is sound."""

    manifest: Manifest | None
    files: int
    size_bytes: int
    items: int
    wallets: int
    logs: int
    problems: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify_backup(folder: BackupFolder, forms: ChainForms, known: Sequence[bytes] | None) -> BackupReport:
    """Check all of a backup. known: the public keys (PEM) whose signature counts; None = the one beside the manifest,
    which shows only that nothing was changed by accident."""
    try:
        manifest = read_signed_manifest(folder, known)
    except (BackupFileMissing, ManifestUnreadable, SignatureInvalid) as error:
        return BackupReport(None, 0, 0, 0, 0, 0, (_sentence(error),))
    spool = ItemSpool()
    try:
        problems = list(check_files(manifest, folder, spool))
        heads = {name: read_heads(manifest, folder, name) for name in (LEDGER, AUDIT)}
        wallets, logs = list(spool.owners(LEDGER)), list(spool.owners(AUDIT))
        problems += check_wallets(spool, forms, heads[LEDGER], manifest.cut_at)
        problems += check_logs(spool, forms, heads[AUDIT], manifest.cut_at)
    finally:
        spool.close()
    files = list(manifest.files())
    items = sum(table.items for table in manifest.tables)
    has_events = sum(1 for log in logs if not log.startswith("archive#"))
    size_bytes = sum(file.bytes for file in files)
    return BackupReport(manifest, len(files), size_bytes, items, len(wallets), has_events, tuple(problems))


def read_signed_manifest(folder: BackupFolder, known: Sequence[bytes] | None) -> Manifest:
    """The manifest, after its signature is checked. Raises BackupFileMissing, ManifestUnreadable, SignatureInvalid."""
    data, signature, key = (b"".join(folder.chunks(each)) for each in (MANIFEST_KEY, SIGNATURE_KEY, PUBLIC_KEY_KEY))
    check_manifest(data, ManifestSignature(signature, key), known)
    return read_manifest(data)


# ---- files -----------------------------------------------------------------------------------------------------------


def check_files(manifest: Manifest, folder: BackupFolder, spool: ItemSpool | None = None) -> Iterator[str]:
    """What is wrong with the files: each is there, and has the size, the SHA-256 and the lines that the manifest says.
    spool: gets the items of chained tables."""
    for table in manifest.tables:
        see = partial(spool.add, table.name) if spool and has_chains(table.name) else None
        for file in table.files:
            yield from check_file(file, folder, see)
        if table.items != sum(file.items for file in table.files):
            yield f"{table.name}: the manifest says {table.items} items, and its files have another number"
    data_keys = {file.key for table in manifest.tables for file in table.files}
    for file in manifest.files():
        if file.key not in data_keys:
            yield from check_file(file, folder)


def check_file(
    file: ManifestFile, folder: BackupFolder, see: Callable[[RawItem, bytes], bool] | None = None
) -> Iterator[str]:
    """What is wrong with one file. see: gets each of its items with its line, and returns whether it is the first with
    its key."""
    digest, size = hashlib.sha256(), 0

    def chunks() -> Iterator[bytes]:
        nonlocal size
        for chunk in folder.chunks(file.key):
            digest.update(chunk)
            size += len(chunk)
            yield chunk

    problems, lines = list[str](), 1
    try:
        if file.key.endswith(".gz"):
            lines, problems = _read_lines(file, chunks(), see)
        else:
            for _ in chunks():
                pass
    except BackupFileMissing:
        yield f"{file.key}: the file is not there"
        return
    except zlib.error as error:
        yield f"{file.key}: it is damaged and cannot be decompressed ({error})"
        return
    if (size, digest.hexdigest()) != (file.bytes, file.sha256):
        yield f"{file.key}: its bytes are not those that were written (SHA-256 or size)"
    if lines != file.items:
        yield f"{file.key}: it has {lines} lines, and {file.items} were written"
    yield from problems


def _read_lines(
    file: ManifestFile, chunks: Iterator[bytes], see: Callable[[RawItem, bytes], bool] | None
) -> tuple[int, list[str]]:
    """The number of lines, and what is wrong with them."""
    count, problems = 0, list[str]()
    for line in split_lines(chunks):
        count += 1
        if see is None:
            continue
        try:
            item = read_line(line)
            if not see(item, line):
                problems.append(f"{file.key}: line {count}, {item['pk']['S']} {item['sk']['S']}: it is there twice")
        except (LineUnreadable, KeyError) as error:
            problems.append(f"{file.key}: line {count} is no item ({error})")
    return count, problems


def split_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a gzip file, without their breaks. Raises zlib.error for a file that is cut off or damaged."""
    decompressor, rest = zlib.decompressobj(wbits=GZIP), b""
    for chunk in chunks:
        *whole, rest = (rest + decompressor.decompress(chunk)).split(b"\n")
        yield from whole
    if not decompressor.eof:
        # The rest of a damaged file is read all the same, for its size and SHA-256.
        raise zlib.error("the end is missing")
    if rest:
        yield rest


def read_heads(manifest: Manifest, folder: BackupFolder, table: str) -> dict[str, tuple[int, str]]:
    """The newest seal of each chain of a table: owner → (number, hash). A file that is not there is left out, because
    `check_files` says so."""
    found: dict[str, tuple[int, str]] = {}
    described = manifest.table(table)
    for file in described.heads if described else ():
        try:
            for line in split_lines(folder.chunks(file.key)):
                head = json.loads(line)
                if head["number"] > found.get(head["owner"], (0, ""))[0]:
                    found[head["owner"]] = head["number"], head["hash"]
        except (BackupFileMissing, zlib.error, *MALFORMED):
            continue
    return found


# ---- chains ----------------------------------------------------------------------------------------------------------


def check_wallets(
    spool: ItemSpool, forms: ChainForms, heads: dict[str, tuple[int, str]], now: datetime
) -> Iterator[str]:
    """What is wrong with the wallets, by the ledger's verifier: digests, chain, sums, open holds, counters. Movements
    that wait for their seal are checked as those of a next one. now: the time of that seal at least."""
    for owner in spool.owners(LEDGER):
        try:
            _check_wallet(owner, spool, forms, heads.get(owner), now)
        except ProofMismatch as error:
            yield f"wallet {owner}: {error}"
        except MALFORMED as error:
            yield f"wallet {owner}: an item is malformed ({error!r})"
    yield from (f"wallet {owner}: it is not there" for owner in heads if spool.get(LEDGER, owner, WALLET) is None)


def _check_wallet(owner: str, spool: ItemSpool, forms: ChainForms, head: tuple[int, str] | None, now: datetime) -> None:
    chain, last = ChainCheck(owner), None
    for _, item in spool.below(LEDGER, owner, SEAL):
        last = forms.seal(item)
        movements = (spool.get(LEDGER, owner, f"{MOVEMENT}{order}#{key}") for order, key, _ in last.movements)
        entries = [forms.movement(movement) for movement in movements if movement]
        chain.check_page({"seals": [hash_chain.to_public(last)], "entries": entries})
    unsealed = [
        form
        for _, item in spool.below(LEDGER, owner, MOVEMENT)
        if (form := forms.movement(item)) and hash_chain.movement_id(form) not in chain.keys
    ]
    unsealed.sort(key=lambda form: (form["at"], form["order"]))
    entries = iter(unsealed)
    for seal in hash_chain.chain(owner, last, unsealed, now):
        chain.check_page({"seals": [hash_chain.to_public(seal)], "entries": [next(entries) for _ in seal.movements]})
    wallet = spool.get(LEDGER, owner, WALLET)
    if wallet is None:
        raise ProofMismatch("it has entries, and is not there")
    chain.check_wallet(hash_chain.proven_counters(forms.wallet(wallet)))
    if head:
        chain.check_head(*head)


def check_logs(spool: ItemSpool, forms: ChainForms, heads: dict[str, tuple[int, str]], now: datetime) -> Iterator[str]:
    """What is wrong with the chains of audit logs. Seals whose time to go had come are left out: TTL deletes them and
    their events in any order, and the archive has them."""
    for owner in spool.owners(AUDIT):
        try:
            _check_log(owner, spool, forms, heads.get(owner), now)
        except ProofMismatch as error:
            yield f"audit log {owner}: {error}"
        except MALFORMED as error:
            yield f"audit log {owner}: an item is malformed ({error!r})"
    owners = set(spool.owners(AUDIT))
    yield from (f"audit log {owner}: it is not there" for owner in heads if owner not in owners)


def _check_log(owner: str, spool: ItemSpool, forms: ChainForms, head: tuple[int, str] | None, now: datetime) -> None:
    chain, has_begun, archived = EventCheck(owner), False, set[int]()
    for _, item in spool.below(AUDIT, owner, SEAL):
        mark: Any = item.get("expires_at_seconds")
        if not has_begun and mark and int(mark["N"]) <= now.timestamp():
            archived.add(forms.event_seal(item).number)
            continue
        seal = forms.event_seal(item)
        public = audit_seals.to_public(seal)
        if not has_begun:
            chain.begin(public)
            has_begun = True
        events = (spool.get(AUDIT, owner, EVENT + id) for id, _ in seal.events)
        chain.check_seal(public, [forms.event(event) for event in events if event])
    chain.check_reduced()
    if head and head[0] not in archived:
        chain.check_head(*head)


def _sentence(error: Exception) -> str:
    return f"{error}: the file is not there" if isinstance(error, BackupFileMissing) else str(error)
