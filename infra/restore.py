"""`python -m infra.restore`: what `make restore STACK=… BACKUP=bak_…` runs. Restores a backup into the empty tables of
a new deployment; with --only it takes one workspace out of a backup, beside the present one.

    make restore STACK=new BACKUP=bak_… BUCKET=backups-of-the-old-one KNOWN=public_key.pem [APPLY=1]
    make restore STACK=atelier BACKUP=bak_… ONLY=wsp_… TO=folder [APPLY=1]

Without APPLY=1 it checks the whole backup, says what it would do, and writes nothing. What is not sound is not
restored. It can be stopped at any point and run again: the new deployment notes which files are done, and an item is
written on condition that there is none. So nothing is ever overwritten; an item that is there already with another
content, such as what a schedule of the new deployment has written, stays and is named.

Needs AWS credentials that may read the bucket and the stack, write its tables, change its event source mappings and
invoke `erase_due`. docs/backups.md says what else belongs to a restore: secrets and media files.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from infra.restore_streams import begin_after, pause

LAYER = Path(__file__).resolve().parents[1] / "layers/atelier/python"
if str(LAYER) not in sys.path:
    sys.path.insert(0, str(LAYER))

if TYPE_CHECKING:
    from atelier.backups.lines import RawItem
    from atelier.backups.manifest import Manifest, ManifestFile
    from atelier.backups.ports import BackupFolder
    from atelier.backups.verify import BackupReport

SCOPES = ("daily", "monthly", "yearly")
# Tables that have an item as soon as anybody has an account; schedules write into none of them.
IN_USE_BY_PEOPLE = ("identity", "ledger")
MARKER = {"pk": {"S": "platform"}, "sk": {"S": "restore"}}
WRITES_AT_ONCE = 32
BATCH = 2000
KEPT_SHOWN = 10
Say = Callable[[str], None]


class RestoreRefused(Exception):
    """Nothing (more) was written; the text is for the person at the terminal."""


class Functions(Protocol):
    """Lambda's client, as far as it is used here."""

    def invoke(self, *, FunctionName: str, Payload: bytes) -> Mapping[str, Any]: ...  # noqa: N803 - Lambda's names


@dataclass(frozen=True)
class Target:
    """The deployment that gets the items. tables: names by context. streams: ARNs of its tables' streams. erase_due:
    its function that erases again who was erased since the backup; empty = none. erasures: the table of erasures of the
    deployment that was backed up, which is newer than the backup's; empty = it is lost."""

    stack: str
    tables: Mapping[str, str]
    backups_table: str
    streams: Sequence[str] = ()
    erase_due: str = ""
    erasures: str = ""


def restore(
    folder: BackupFolder,
    target: Target,
    known: Sequence[bytes] | None,
    *,
    apply: bool,
    say: Say,
    writes_at_once: int = WRITES_AT_ONCE,
    functions: Functions | None = None,
) -> int:
    """Restore a backup; returns how many items were written by this run. functions: calls `erase_due`; None = Lambda.
    Raises RestoreRefused."""
    report = check(folder, known, say)
    manifest = _manifest(report)
    missing = sorted({table.name for table in manifest.tables} - target.tables.keys())
    if missing:
        raise RestoreRefused(f"{target.stack} has no table for {', '.join(missing)}")
    marker = _read_marker(target)
    if marker and marker["backup"]["S"] != manifest.id:
        raise RestoreRefused(f"{target.stack} was begun to be restored from {marker['backup']['S']}")
    if marker and marker["state"]["S"] == "complete":
        say(f"{target.stack} was restored from {manifest.id} before; nothing is left to do")
        return 0
    if marker is None:
        _require_unused(target)
    done = {each["S"] for each in marker["done"]["L"]} if marker else set[str]()
    for table in manifest.tables:
        left = [file for file in table.files if file.key not in done]
        say(f"  {table.name:12} {sum(file.items for file in left):>9} items → {target.tables[table.name]}")
    if not apply:
        say("nothing was written; APPLY=1 does it")
        return 0
    if marker is None:
        _create_marker(target, manifest.id)
    paused = pause(target.streams)
    written, kept = 0, list[str]()
    for table in manifest.tables:
        for file in table.files:
            if file.key not in done:
                written += _write_file(file, folder, target.tables[table.name], kept, writes_at_once)
                _note_done(target, file.key)
        say(f"  {table.name:12} is written")
    begin_after(paused)
    if target.erasures:
        _copy_erasures(target.erasures, target.tables["erasures"])
    if target.erase_due:
        _erase_again(target.erase_due, manifest, functions)
    _complete_marker(target)
    for text in kept[:KEPT_SHOWN]:
        say(f"  kept as it was there: {text}")
    say(f"{target.stack} is as of {manifest.cut_at:%Y-%m-%d %H:%M} UTC: {written} items written, {len(kept)} kept")
    return written


def check(folder: BackupFolder, known: Sequence[bytes] | None, say: Say) -> BackupReport:
    """Check all of a backup. Raises RestoreRefused when something is wrong with it."""
    from atelier.adapters.aws.dynamodb.backups.chain_forms import StoredChainForms
    from atelier.backups.verify import verify_backup

    report = verify_backup(folder, StoredChainForms(), known)
    for problem in report.problems:
        say(f"  {problem}")
    if not report.is_sound:
        raise RestoreRefused("the backup is not sound; nothing was written")
    manifest = _manifest(report)
    counts = f"{report.items} items, {report.wallets} wallets, {report.logs} logs"
    say(f"{manifest.id} of {manifest.stack} is sound: {counts}")
    if known is None:
        say("its key is the one beside it, which shows accidents alone: name the one that you noted, KNOWN=file")
    for note in manifest.notes:
        say(f"  note: {note}")
    return report


def _manifest(report: BackupReport) -> Manifest:
    if report.manifest is None:
        raise RestoreRefused("the backup has no manifest")
    return report.manifest


# ---- the tables ------------------------------------------------------------------------------------------------------


def _require_unused(target: Target) -> None:
    from atelier.adapters.aws.clients import client

    for context in IN_USE_BY_PEOPLE:
        name = target.tables[context]
        if client("dynamodb").scan(TableName=name, Limit=1, ConsistentRead=True)["Items"]:
            raise RestoreRefused(f"{name} has items: restore into a new deployment, never over one that is used")


def _write_file(file: ManifestFile, folder: BackupFolder, table: str, kept: list[str], writes_at_once: int) -> int:
    """Write the items of a file; returns how many were new. kept: gets those that are there with another content."""
    from atelier.backups.verify import check_file

    written = 0
    batch: list[RawItem] = []

    def write(item: RawItem) -> tuple[RawItem, bool, bool]:
        return _write(table, item)

    def flush() -> None:
        nonlocal written
        for item, is_new, is_same in writers.map(write, batch):
            written += is_new
            if not is_new and not is_same:
                kept.append(f"{table} {item['pk']['S']} {item['sk']['S']}")
        batch.clear()

    def see(item: RawItem, _: bytes) -> bool:
        batch.append(item)
        if len(batch) >= BATCH:
            flush()
        return True

    with ThreadPoolExecutor(writes_at_once) as writers:
        problems = list(check_file(file, folder, see))
        flush()
    if problems:
        raise RestoreRefused(f"the backup was changed while it was read: {problems[0]}")
    return written


def _write(table: str, item: RawItem) -> tuple[RawItem, bool, bool]:
    """(the item, whether it was written, whether what is there is the same)."""
    from botocore.exceptions import ClientError

    from atelier.adapters.aws.clients import client
    from atelier.backups.lines import fingerprint

    try:
        client("dynamodb").put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(pk)")
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
            raise
        present = _present(table, item)
        return item, False, present is not None and fingerprint(present) == fingerprint(item)
    return item, True, True


def _present(table: str, item: RawItem) -> RawItem | None:
    from atelier.adapters.aws.clients import client

    key = {"pk": item["pk"], "sk": item["sk"]}
    found: RawItem | None = client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    return found


def _read_marker(target: Target) -> Mapping[str, Any] | None:
    from atelier.adapters.aws.clients import client

    found = client("dynamodb").get_item(TableName=target.backups_table, Key=MARKER, ConsistentRead=True)
    marker: Mapping[str, Any] | None = found.get("Item")
    return marker


def _create_marker(target: Target, backup_id: str) -> None:
    from atelier.adapters.aws.clients import client

    item: dict[str, Any] = {**MARKER, "backup": {"S": backup_id}, "state": {"S": "running"}, "done": {"L": []}}
    client("dynamodb").put_item(
        TableName=target.backups_table, Item=item, ConditionExpression="attribute_not_exists(pk)"
    )


def _note_done(target: Target, key: str) -> None:
    from atelier.adapters.aws.clients import client

    client("dynamodb").update_item(
        TableName=target.backups_table,
        Key=MARKER,
        UpdateExpression="SET done = list_append(done, :key)",
        ExpressionAttributeValues={":key": {"L": [{"S": key}]}},
    )


def _complete_marker(target: Target) -> None:
    from atelier.adapters.aws.clients import client

    client("dynamodb").update_item(
        TableName=target.backups_table,
        Key=MARKER,
        UpdateExpression="SET #state = :state",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":state": {"S": "complete"}},
    )


def _copy_erasures(old: str, new: str) -> None:
    """Bring the list of erasures up to date: the old deployment's is newer than the backup's, and replaces it."""
    from atelier.adapters.aws.clients import client

    for page in client("dynamodb").get_paginator("scan").paginate(TableName=old, ConsistentRead=True):
        for item in page["Items"]:
            client("dynamodb").put_item(TableName=new, Item=item)


def _erase_again(function: str, manifest: Manifest, functions: Functions | None) -> None:
    """Erase again whoever was erased since the backup, as far as the list of erasures knows."""
    from atelier.adapters.aws.clients import client
    from atelier.clock import rfc3339

    payload = json.dumps({"repeat_since": rfc3339(manifest.cut_at)}).encode()
    called: Functions = client("lambda") if functions is None else functions
    answer = called.invoke(FunctionName=function, Payload=payload)
    if "FunctionError" in answer:
        raise RestoreRefused(f"everything is written, and {function} failed: run this again")


# ---- one workspace ---------------------------------------------------------------------------------------------------


def take_out(folder: BackupFolder, target: Target, workspace_id: str, to: Path, *, apply: bool, say: Say) -> int:
    """Take one workspace out of a checked backup, beside the present one: a file of items for each table, and
    `differences.ndjson`, what of them is gone or changed since; returns how many those are. Raises RestoreRefused."""
    manifest = _manifest(check(folder, None, say))
    if to.exists():
        raise RestoreRefused(f"{to} exists already")
    lines: dict[str, list[bytes]] = {}
    differences, count = list[dict[str, str]](), 0
    for table in manifest.tables:
        for item, line in _items_of(workspace_id, folder, table.files):
            count += 1
            lines.setdefault(table.name, []).append(line)
            if state := _difference(target.tables[table.name], item):
                differences.append({"table": table.name, "pk": item["pk"]["S"], "sk": item["sk"]["S"], "is": state})
        if table.name in lines:
            changed = sum(each["table"] == table.name for each in differences)
            say(f"  {table.name:12} {len(lines[table.name]):>7} items, of which {changed} are gone or changed since")
    if not count:
        raise RestoreRefused(f"{manifest.id} has nothing of {workspace_id}")
    if not apply:
        say("nothing was written; APPLY=1 does it")
        return len(differences)
    # People's data: readable by whoever runs this alone.
    to.mkdir(parents=True, mode=0o700)
    for name, found in lines.items():
        (to / f"{name}.ndjson").write_bytes(b"".join(line + b"\n" for line in found))
    text = "".join(json.dumps(each) + "\n" for each in differences)
    (to / "differences.ndjson").write_text(text, "utf-8")
    say(f"{to} has {workspace_id} as of {manifest.cut_at:%Y-%m-%d %H:%M} UTC; the deployment is as it was")
    return len(differences)


def _items_of(
    workspace_id: str, folder: BackupFolder, files: Sequence[ManifestFile]
) -> Iterator[tuple[RawItem, bytes]]:
    """The items in partitions of a workspace: `wsp_…`, and those of a request's kind, such as `idempotency#wsp_…`."""
    from atelier.backups.lines import read_line
    from atelier.backups.verify import split_lines

    for file in files:
        for line in split_lines(folder.chunks(file.key)):
            if workspace_id.encode() in line:
                item = read_line(line)
                if workspace_id in item["pk"]["S"].split("#"):
                    yield item, line


def _difference(table: str, item: RawItem) -> str | None:
    from atelier.backups.lines import fingerprint

    present = _present(table, item)
    if present is None:
        return "gone"
    return None if fingerprint(present) == fingerprint(item) else "changed"


# ---- the command -----------------------------------------------------------------------------------------------------


def find_target(stack: str) -> tuple[Target, str]:
    """(the deployment, its own bucket of backups), as CloudFormation says."""
    from atelier.adapters.aws.clients import client

    def outputs(logical_id: str) -> dict[str, str]:
        found = client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)
        nested = found["StackResourceDetail"]["PhysicalResourceId"]
        described = client("cloudformation").describe_stacks(StackName=nested)["Stacks"][0]
        return {each["OutputKey"]: each["OutputValue"] for each in described["Outputs"]}

    from atelier.backups.model import TABLES

    data = outputs("Data")
    function = client("cloudformation").describe_stack_resource(
        StackName=stack, LogicalResourceId="SchedulesEraseDueFunction"
    )
    tables = {name: data[f"{name.title()}Table"] for name in TABLES}
    streams = [value for key, value in data.items() if key.endswith("StreamArn")]
    erase_due = function["StackResourceDetail"]["PhysicalResourceId"]
    target = Target(stack, tables, data["BackupsTable"], streams, erase_due)
    return target, outputs("BackupStorage")["BackupsBucket"]


def find_backup(bucket: str, backup_id: str) -> BackupFolder:
    """The folder of a backup. Raises RestoreRefused."""
    from atelier.adapters.aws.backup_files import S3BackupFolder
    from atelier.backups.manifest import MANIFEST_KEY
    from atelier.backups.ports import BackupFileMissing

    for scope in SCOPES:
        folder = S3BackupFolder(bucket, f"{scope}/{backup_id}/")
        try:
            next(folder.chunks(MANIFEST_KEY))
        except BackupFileMissing:
            continue
        return folder
    raise RestoreRefused(f"{bucket} has no complete backup {backup_id}")


def begin_backup_as_of(stack: str, at: str) -> int:
    """Start a backup of the stack's tables as of an earlier time; returns the exit code."""
    from atelier.adapters.aws.clients import client
    from atelier.clock import parse_rfc3339, rfc3339

    machine = client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId="WriteBackup")
    arn = machine["StackResourceDetail"]["PhysicalResourceId"]
    try:
        text = json.dumps({"scope": "daily", "cut_at": rfc3339(parse_rfc3339(at))})
    except ValueError as error:
        print(f"atelier: {at}: {error}", file=sys.stderr)
        return 1
    started = client("stepfunctions").start_execution(stateMachineArn=arn, input=text)
    print(f"atelier: {started['executionArn']} writes a backup of {stack} as of {at}; GET /api/admin/backups names it")
    print("atelier: when it is complete: make restore STACK=<the new one> BACKUP=<it>")
    return 0


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.restore", allow_abbrev=False)
    parser.add_argument(
        "--stack-name", required=True, help="the new deployment, or the one beside which a workspace is"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--backup", help="bak_…")
    what.add_argument("--at", help="a time (RFC 3339): a backup of the stack's tables as of then is begun")
    parser.add_argument("--bucket", default="", help="where the backup is; empty = the stack's own bucket of backups")
    parser.add_argument("--known", type=Path, action="append", help="a public key (PEM) that counts")
    parser.add_argument("--only", default="", help="a workspace, wsp_…, that is taken out of the backup")
    parser.add_argument("--to", type=Path, help="a new folder for that workspace")
    parser.add_argument("--erasures", default="", help="the old deployment's table of erasures, if it is still there")
    parser.add_argument("--region")
    parser.add_argument("--apply", action="store_true", help="write; without it, only say what would be written")
    chosen = parser.parse_args(arguments)
    if chosen.region:
        os.environ["AWS_DEFAULT_REGION"] = chosen.region
    if chosen.at:
        return begin_backup_as_of(chosen.stack_name, chosen.at)
    try:
        target, own_bucket = find_target(chosen.stack_name)
        folder = find_backup(chosen.bucket or own_bucket, chosen.backup)
        known = [file.read_bytes() for file in chosen.known] if chosen.known else None
        if chosen.only:
            to = chosen.to or Path(f"{chosen.only}-{chosen.backup}")
            take_out(folder, target, chosen.only, to, apply=chosen.apply, say=print)
        else:
            restore(folder, replace(target, erasures=chosen.erasures), known, apply=chosen.apply, say=print)
    except (RestoreRefused, OSError) as error:
        print(f"atelier: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
