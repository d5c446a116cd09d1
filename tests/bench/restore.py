"""How long a backup, a drill and a restore take, and what they cost: `python -m tests.bench.restore [ITEMS FILES]`.

On the embedded AWS, in one process, one part of the backup after the other. Nine of ten items are generations and
assets of 1 KB; the others are wallets and audit logs with real chains; pictures are in the bucket. Costs are AWS's for
the requests, units and bytes that were counted. No part of `make test` or `make bench`: it takes minutes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

ITEMS, FILES = 100_000, 1_000
# One wallet with its log, ten items together, for so many items.
WALLET_SHARE = 100
EXPORT_DOLLARS_A_GIGABYTE, IMPORT_DOLLARS_A_GIGABYTE = 0.10, 0.15
READ_UNIT, WRITE_UNIT, GIGABYTE_SECOND = 0.125e-6, 0.625e-6, 13.33e-6
S3_PUT, S3_GET = 5e-6, 0.4e-6
MEMORY_GIGABYTES = 1769 / 1024


def main(arguments: list[str]) -> int:
    """Print the figures as a table."""
    items, files = (int(each) for each in arguments) if arguments else (ITEMS, FILES)
    # Imported first, because tests/conftest.py removes AWS_ENDPOINT_URL from the environment, which is set below.
    import tests.functions.test_backups
    from tests.embedded_aws import clear_wiring_caches, start_emulator

    assert tests.functions.test_backups
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        child, url = start_emulator(Path(folder))
        access = {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "DEFAULT_REGION": "us-east-1"}
        for name, value in {**access, "ENDPOINT_URL": url}.items():
            patch.setenv(f"AWS_{name}", value)
        clear_wiring_caches()
        try:
            _measure(items, files, patch)
        finally:
            child.terminate()
            child.wait(timeout=30)
    return 0


def _measure(items: int, files: int, patch: pytest.MonkeyPatch) -> None:
    from atelier.adapters.aws.backup_files import S3BackupFolder
    from atelier.adapters.aws.clients import client
    from atelier.adapters.aws.dynamodb.backups.chain_forms import StoredChainForms
    from atelier.backups.drill import DrillState
    from atelier.backups.drill_restore import begin_drill, carry_on
    from atelier.backups.verify import verify_backup
    from atelier.backups.write_backup import begin_backup, finish_backup, write_part
    from atelier.clock import system_clock
    from atelier.wiring import backups, drills
    from infra.restore import Target, restore
    from tests.embedded_aws import create_tables
    from tests.functions.test_backups import Facts, prepare
    from tests.polling import wait_until

    logging.disable(logging.INFO)
    create_tables(client("dynamodb"), patch)
    client("s3").create_bucket(Bucket="media")
    client("s3").put_bucket_versioning(Bucket="media", VersioningConfiguration={"Status": "Enabled"})
    bus = client("events").create_event_bus(Name="bus")["EventBusArn"].rpartition("/")[2]
    for name, value in {"MEDIA_BUCKET": "media", "STAGE": "test", "EVENT_BUS": bus}.items():
        patch.setenv(f"ATELIER_{name}", value)
    patch.setenv("ATELIER_PUBLIC_URL", "https://media.example.com")
    prepare("backups", patch)
    size = _fill(items, files, backups.table_names())
    deps = replace(backups.write_deps(), facts=Facts())
    begun = begin_backup("bench", system_clock(), None, deps=deps)
    with _measured("backup") as after:
        for part in begun.parts:
            assert write_part(begun.id, part, deps=deps, context=None) is None
        backup = finish_backup(begun.id, deps=deps)
        after["read units (scan)"] = size / 4096
        after["dollars of DynamoDB's export instead"] = size / 1e9 * EXPORT_DOLLARS_A_GIGABYTE
    counts = f"{backup.items:,} items, {backup.media_objects:,} media files"
    print(f"  {counts}: {backup.files} files, {backup.size_bytes:,} bytes")
    folder = S3BackupFolder("backups", begun.prefix)
    with _measured("check of the files"):
        report = verify_backup(folder, StoredChainForms(), None)
    assert report.is_sound, report.problems[:3]
    with _measured("drill") as after:
        drill = begin_drill("bench", system_clock(), always=True, deps=drills.deps())
        assert drill is not None
        wait_until(lambda: carry_on(drill.id, deps=drills.deps(), context=None)[0].has_ended, 1800)
        after["dollars of ImportTable"] = size / 1e9 * IMPORT_DOLLARS_A_GIGABYTE
    ended = drills.records().get(drill.id)
    assert ended.state is DrillState.PASSED, ended.problems[:3]
    print(f"  {ended.figures}")
    with pytest.MonkeyPatch.context() as inner:
        names = create_tables(client("dynamodb"), inner)
        target = Target("new", backups.table_names(), names.backups)
    with _measured("restore into a new deployment") as after:
        written = restore(folder, target, None, apply=True, say=lambda _: None)
        after["write units"] = float(written + size // 1024)
    assert written == backup.items


def _fill(items: int, files: int, tables: dict[str, str]) -> int:
    """Fill tables and bucket; returns the bytes of the items."""
    from atelier.adapters.aws.clients import client
    from atelier.backups.lines import item_line
    from infra.simulators.kit.samples import sample_png
    from tests.unit.backups.test_verify import audit_items, ledger_items

    started = time.monotonic()
    size = 0

    def requests() -> Iterator[dict[str, Any]]:
        nonlocal size
        batch: list[tuple[str, Any]] = []
        for table, item in _items(items, ledger_items, audit_items):
            size += len(item_line(item))
            batch.append((tables[table], item))
            if len(batch) == 25:
                yield _request(batch)
                batch = []
        if batch:
            yield _request(batch)

    def put(number: int) -> None:
        data = sample_png(64, 64, number)
        key = f"media/wsp_{number % 50}/{hashlib.sha256(data).hexdigest()}.png"
        client("s3").put_object(Bucket="media", Key=key, Body=data)

    def write(request: dict[str, Any]) -> None:
        client("dynamodb").batch_write_item(RequestItems=request)

    with ThreadPoolExecutor(8) as writers:
        list(writers.map(write, requests()))
        list(writers.map(put, range(files)))
    print(f"filled with {items:,} items of {size:,} bytes and {files:,} files in {time.monotonic() - started:.0f} s")
    return size


def _items(count: int, *chains: Callable[[str], list[Any]]) -> Iterator[tuple[str, Any]]:
    text, made = "a lighthouse on a cliff at dusk, oil on canvas " * 16, 0
    for number in range(count // WALLET_SHARE):
        workspace = f"wsp_{number:026}"
        for table, items in zip(("ledger", "audit"), (each(workspace) for each in chains), strict=True):
            for item in items:
                made += 1
                yield table, item
    for number in range(count - made):
        table = ("generations", "library")[number % 2]
        owner = f"wsp_{number % (count // WALLET_SHARE):026}"
        yield table, {"pk": {"S": owner}, "sk": {"S": f"gen_{number:026}"}, "prompt": {"S": text}, "cost": {"N": "4"}}


def _request(batch: list[tuple[str, Any]]) -> dict[str, Any]:
    request: dict[str, list[Any]] = {}
    for table, item in batch:
        request.setdefault(table, []).append({"PutRequest": {"Item": item}})
    return request


@contextmanager
def _measured(name: str) -> Generator[dict[str, float]]:
    """Count requests and seconds, and print what they cost."""
    from atelier.adapters.aws.clients import client
    from atelier.adapters.aws.dynamodb import connection

    calls, after = Counter[str](), dict[str, float]()

    def count(model: Any, **_: Any) -> None:
        calls[model.name] += 1

    clients = {id(each): each for each in (client("s3"), client("dynamodb"), connection().client)}.values()
    for each in clients:
        each.meta.events.register("after-call", count)
    started, processor = time.monotonic(), time.process_time()
    yield after
    seconds, processor = time.monotonic() - started, time.process_time() - processor
    for each in clients:
        each.meta.events.unregister("after-call", count)
    dollars = seconds * MEMORY_GIGABYTES * GIGABYTE_SECOND
    dollars += (calls["PutObject"] * S3_PUT) + (calls["GetObject"] * S3_GET)
    dollars += after.get("read units (scan)", 0) * READ_UNIT + after.get("write units", 0) * WRITE_UNIT
    dollars += after.get("dollars of ImportTable", 0)
    print(f"{name}: {seconds:.1f} s, of which {processor:.1f} s of this process's; ${dollars:.4f}")
    print(f"  {dict(calls.most_common(6))} {after}")


if __name__ == "__main__":
    os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
    sys.exit(main(sys.argv[1:]))
