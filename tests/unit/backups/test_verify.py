"""A backup's files alone: a sound one passes, and everything that was done to one is found and named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from atelier.adapters.aws.dynamodb.audit_log import AuditEventItem
from atelier.adapters.aws.dynamodb.audit_seals import AuditSealItem
from atelier.adapters.aws.dynamodb.backups.chain_forms import StoredChainForms, raw_item
from atelier.adapters.aws.dynamodb.ledger.items import movement_item, wallet_item
from atelier.adapters.aws.dynamodb.seals import SealItem, movement_form
from atelier.audit_log import seals as audit_seals
from atelier.audit_log.model import Origin, audit_event
from atelier.backups.lines import GzipFile, HeadCollector, LineUnreadable, RawItem, describe_file, item_line, read_line
from atelier.backups.manifest import (
    FORMAT,
    Manifest,
    ManifestFile,
    ManifestMedia,
    ManifestTable,
    ManifestUnreadable,
    TableSettings,
    read_manifest,
)
from atelier.backups.model import (
    RETENTION,
    BackupMethod,
    BackupScope,
    PartProgress,
    backup_id,
    prefix_of,
    scope_of,
)
from atelier.backups.ports import BackupFileMissing
from atelier.backups.signature import ManifestSignature, SignatureInvalid, check_manifest, public_pem, sign_manifest
from atelier.backups.verify import BackupReport, verify_backup
from atelier.clock import rfc3339
from atelier.identity.signing import new_key_set
from atelier.ledger.hash_chain import next_seal, to_public
from atelier.ledger.model import DailyCreditRule, EndState, Hold, Movement, new_wallet
from atelier.ledger.plan_hold import plan_hold, plan_settlement
from atelier.ledger.plan_refresh import plan_refresh
from infra.local.templates import read_template
from tests.embedded_aws import ROOT

AT = datetime(2026, 11, 29, 3, tzinfo=UTC)
WORKSPACE = "wsp_01M7XCN60Q0Z9AH99VAAQWYH99"
KEY = new_key_set()["keys"][0]
SETTINGS = TableSettings(key_schema=[{"AttributeName": "pk", "KeyType": "HASH"}], attributes=[])


def ledger_items(workspace_id: str = WORKSPACE) -> list[RawItem]:
    """A wallet with a grant, a hold, its settlement and an open hold; the last movement waits for its seal."""
    refresh = plan_refresh(new_wallet(workspace_id, "free", AT), DailyCreditRule(50), AT)
    written: list[tuple[Movement, Hold | None]] = [(movement, None) for movement in refresh.movements]
    wallet, deadline = refresh.wallet, AT + timedelta(minutes=5)
    first = plan_hold(wallet, "gen_1", 7, deadline, {}, AT, holds_open_max=9)
    ending = plan_settlement(first.hold, EndState.SETTLED, 7, {}, AT)
    written += [(first.movement, first.hold), (ending.movement, None)]
    items = [movement_item(workspace_id, movement, hold) for movement, hold in written]
    forms = [movement_form(item) for item in items]
    seal = next_seal(workspace_id, None, forms[:-1], AT)
    sums = next_seal(workspace_id, seal, forms[-1:], AT)
    stored = wallet_item(wallet)
    stored.available, stored.held, stored.holds_open, stored.written = 43, 0, 0, len(items)
    (grant,) = stored.grants.as_dict().values()
    stored.grants = {next(iter(sums.grants)): {**grant, "remaining": 43, "held": 0}}
    sealed = SealItem(workspace_id, "seal#000000000001", seal=json.dumps(to_public(seal)))
    return [raw_item(each) for each in (*items, sealed, stored)]


def audit_items(workspace_id: str = WORKSPACE) -> list[RawItem]:
    """A log with three sealed events and one that waits for its seal."""
    origin = Origin("usr_1", None, "203.0.113.7", "agent", "req-1")
    events = [audit_event(workspace_id, "key.added", origin, AT, target=f"key_{n}", after={"n": n}) for n in range(4)]
    seal = audit_seals.next_seal(workspace_id, None, [audit_seals.event_form(event) for event in events[:3]], AT)
    items = [
        AuditEventItem(
            workspace_id,
            f"event#{event.id}",
            at=rfc3339(event.at),
            actor="usr_1",
            action=event.action,
            target=event.target,
            outcome=event.outcome,
            address="203.0.113.7",
            user_agent="agent",
            request_id="req-1",
            facts=event.facts,
        )
        for event in events
    ]
    sealed = AuditSealItem(workspace_id, "seal#000000000001", seal=json.dumps(audit_seals.to_public(seal)))
    return [raw_item(each) for each in (*items, sealed)]


@dataclass
class Folder:
    """A backup in memory, made of items and signed."""

    items: dict[str, list[RawItem]] = field(default_factory=lambda: {"ledger": ledger_items(), "audit": audit_items()})
    files: dict[str, bytes] = field(default_factory=dict)

    def chunks(self, key: str) -> Iterator[bytes]:
        if key not in self.files:
            raise BackupFileMissing(key)
        data = self.files[key]
        yield from (data[place : place + 100] for place in range(0, len(data), 100))

    def write(self, heads_of: dict[str, list[RawItem]] | None = None) -> Folder:
        """Write all files; heads_of: the items as they were when the heads were noted, if they were others."""
        tables = [self._table(name, (heads_of or self.items)[name]) for name in self.items]
        inventory = self._put("media/0-00000.ndjson.gz", gzip.compress(b'{"key":"media/a"}\n'), 1)
        configuration = self._put("configuration/tiers.yaml", b"tiers: {}\n", 1)
        manifest = Manifest(
            id="bak_1",
            scope=BackupScope.DAILY,
            method=BackupMethod.SEGMENTS,
            stack="atelier",
            stage="test",
            created_at=AT,
            cut_at=AT,
            tables=tables,
            left_out={},
            media=ManifestMedia(bucket="media", objects=1, files=[inventory]),
            configuration=[configuration],
            escrow=None,
            signed_by=KEY["kid"],
            notes=[],
        )
        self.sign(manifest.to_bytes())
        return self

    def sign(self, manifest: bytes) -> None:
        signed = sign_manifest(KEY, manifest)
        self.files |= {"manifest.json": manifest, "manifest.sig": signed.signature, "public_key.pem": signed.public_key}

    def _table(self, name: str, heads_of: list[RawItem]) -> ManifestTable:
        heads = HeadCollector()
        for item in heads_of:
            heads.see(item)
        data = GzipFile()
        data.add(map(item_line, self.items[name]))
        file = self._put(f"tables/{name}/0-00000.json.gz", data.end(), data.items)
        noted = self._put(f"heads/{name}/0.ndjson.gz", gzip.compress(b"".join(heads.lines())), len(heads.lines()))
        prefix = f"tables/{name}/"
        return ManifestTable(name=name, prefix=prefix, settings=SETTINGS, items=file.items, files=[file], heads=[noted])

    def _put(self, key: str, data: bytes, items: int) -> ManifestFile:
        self.files[key] = data
        return ManifestFile.of(describe_file(key, data, items))

    def verify(self) -> BackupReport:
        return verify_backup(self, StoredChainForms(), [public_pem(KEY)])

    def problems(self) -> list[str]:
        return list(self.verify().problems)


def item(items: list[RawItem], prefix: str) -> int:
    """The place of the first item whose key begins so."""
    return next(place for place, each in enumerate(items) if each["sk"]["S"].startswith(prefix))


def test_a_sound_backup_passes() -> None:
    report = Folder().write().verify()
    assert report.problems == ()
    assert report.is_sound
    assert (report.files, report.items, report.wallets, report.logs) == (6, 5 + 5, 1, 1)


LEDGER_FILE = "tables/ledger/0-00000.json.gz"


def flip(data: bytes) -> bytes:
    return data[:60] + bytes([data[60] ^ 1]) + data[61:]


DAMAGES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    (LEDGER_FILE, flip, f"{LEDGER_FILE}: "),
    (LEDGER_FILE, lambda data: data[:-9], f"{LEDGER_FILE}: it is damaged and cannot be decompressed"),
    (LEDGER_FILE, lambda data: gzip.compress(gzip.decompress(data)), f"{LEDGER_FILE}: its bytes are not those"),
    ("configuration/tiers.yaml", flip_first := lambda data: b"T" + data[1:], "configuration/tiers.yaml: its bytes"),
    ("manifest.json", flip_first, "the manifest is not what was signed"),
    ("manifest.sig", flip_first, "the manifest is not what was signed"),
    ("public_key.pem", lambda data: public_pem(new_key_set()["keys"][0]), "the manifest is signed by a key that is"),
]


@pytest.mark.parametrize(("key", "damage", "problem"), DAMAGES)
def test_a_changed_byte_is_found_and_its_file_named(key: str, damage: Callable[[bytes], bytes], problem: str) -> None:
    folder = Folder().write()
    folder.files[key] = damage(folder.files[key])
    assert folder.problems()[0].startswith(problem)


@pytest.mark.parametrize("key", sorted(Folder().write().files))
def test_a_missing_file_is_found_and_named(key: str) -> None:
    folder = Folder().write()
    del folder.files[key]
    assert f"{key}: the file is not there" in folder.problems()


def test_a_line_that_was_removed_is_found_in_file_and_wallet() -> None:
    folder = Folder().write()
    lines = gzip.decompress(folder.files[LEDGER_FILE]).splitlines(keepends=True)
    folder.files[LEDGER_FILE] = gzip.compress(b"".join(lines[1:]))
    found = folder.problems()
    assert f"{LEDGER_FILE}: it has 4 lines, and 5 were written" in found
    assert any(each.startswith(f"wallet {WORKSPACE}: entry 1") for each in found)


@pytest.mark.parametrize("prefix", ["movement#", "seal#", "wallet"])
def test_an_entry_that_was_gone_before_signing_is_found(prefix: str) -> None:
    folder = Folder()
    whole = {name: list(items) for name, items in folder.items.items()}
    del folder.items["ledger"][item(folder.items["ledger"], prefix)]
    (found,) = folder.write(whole).problems() if prefix != "wallet" else folder.write(whole).problems()[:1]
    assert found.startswith(f"wallet {WORKSPACE}: ")


def test_a_balance_that_its_entries_do_not_come_to_is_found() -> None:
    folder = Folder()
    place = item(folder.items["ledger"], "wallet")
    folder.items["ledger"][place] = {**folder.items["ledger"][place], "available": {"N": "44"}}
    (found,) = folder.write().problems()
    assert found == f"wallet {WORKSPACE}: the wallet: available is 44 and its entries come to 43"


def test_an_unsealed_movement_counts_in_the_balance() -> None:
    folder = Folder()
    ledger = folder.items["ledger"]
    sealed = {key for _, key, _ in json.loads(ledger[item(ledger, "seal#")]["seal"]["S"])["movements"]}
    (place,) = [place for place, each in enumerate(ledger) if "key" in each and each["key"]["S"] not in sealed]
    del ledger[place]
    (found,) = folder.write().problems()
    assert found.startswith(f"wallet {WORKSPACE}: the wallet: ")


@pytest.mark.parametrize("prefix", ["event#", "seal#"])
def test_an_audit_event_that_was_gone_before_signing_is_found(prefix: str) -> None:
    folder = Folder()
    whole = {name: list(items) for name, items in folder.items.items()}
    del folder.items["audit"][item(folder.items["audit"], prefix)]
    (found,) = folder.write(whole).problems()
    assert found.startswith(f"audit log {WORKSPACE}: ")


def test_an_archived_seal_whose_time_to_go_has_come_is_not_missed() -> None:
    folder = Folder()
    items = folder.items["audit"]
    place = item(items, "seal#")
    items[place] = {**items[place], "expires_at_seconds": {"N": str(int(AT.timestamp()) - 1)}}
    # TTL has deleted one of its events already.
    del items[item(items, "event#")]
    assert folder.write().problems() == []


def test_an_item_that_is_there_twice_is_found() -> None:
    folder = Folder()
    folder.items["ledger"].append(folder.items["ledger"][0])
    assert any("it is there twice" in each for each in folder.write().problems())


def test_a_malformed_item_is_a_problem_of_its_wallet() -> None:
    folder = Folder()
    ledger = folder.items["ledger"]
    place = item(ledger, "movement#")
    ledger[place] = {name: value for name, value in ledger[place].items() if name != "entries"}
    assert folder.write().problems()[0].startswith(f"wallet {WORKSPACE}: ")


def test_a_manifest_of_a_newer_format_is_refused() -> None:
    folder = Folder().write()
    newer = json.loads(folder.files["manifest.json"]) | {"format": FORMAT + 1}
    with pytest.raises(ManifestUnreadable, match="has the format 2"):
        read_manifest(json.dumps(newer).encode())
    with pytest.raises(ManifestUnreadable, match="cannot be read"):
        read_manifest(b"{}")


def test_a_signature_without_known_keys_shows_accidents_alone() -> None:
    signed = sign_manifest(KEY, b"{}")
    check_manifest(b"{}", signed, None)
    with pytest.raises(SignatureInvalid):
        check_manifest(b"{ }", signed, None)
    with pytest.raises(SignatureInvalid):
        check_manifest(b"{}", ManifestSignature(signed.signature, b"no key"), None)


def test_a_line_keeps_each_type_of_value() -> None:
    stored = {
        "pk": {"S": "ü \ud83d 🌊"},
        "b": {"B": b"\x00\xff"},
        "n": {"N": "12345678901234567890.5"},
        "l": {"L": [{"B": b"x"}, {"BOOL": True}, {"NULL": True}]},
        "m": {"M": {"bs": {"BS": [b"1", b"2"]}, "ss": {"SS": ["a"]}, "ns": {"NS": ["1"]}}},
    }
    line = item_line(stored)
    assert line.count(b"\n") == 1
    assert read_line(line) == stored
    for broken in (b"{", b"[]", b'{"Item": 1}', b'{"Item": {"pk": {"S": "a", "N": "1"}}}'):
        with pytest.raises(LineUnreadable):
            read_line(broken)


def test_the_first_of_a_month_and_of_a_year_are_kept_longer() -> None:
    days = {scope_of(datetime(2026, month, day, tzinfo=UTC)) for month in range(1, 13) for day in (2, 15, 28)}
    assert days == {BackupScope.DAILY}
    assert scope_of(datetime(2026, 2, 1, tzinfo=UTC)) is BackupScope.MONTHLY
    assert scope_of(datetime(2027, 1, 1, tzinfo=UTC)) is BackupScope.YEARLY


def test_an_execution_makes_one_backup_however_often_it_begins() -> None:
    assert backup_id(AT, "a") == backup_id(AT, "a")
    assert backup_id(AT, "a") != backup_id(AT, "b")
    assert backup_id(AT, "a") < backup_id(AT + timedelta(milliseconds=1), "a")
    assert PartProgress() == PartProgress()


def test_the_buckets_lifecycle_keeps_what_the_model_says() -> None:
    bucket = read_template(ROOT / "infra/backups.yaml")["Resources"]["BackupsBucket"]["Properties"]
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    for scope, retention in RETENTION.items():
        assert rules[scope.value]["ExpirationInDays"] == retention.days
        assert prefix_of(scope, "bak_1").startswith(rules[scope.value]["Prefix"])
