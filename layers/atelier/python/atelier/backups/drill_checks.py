"""What a drill looks at, step by step: the files of a backup, the items that were loaded, a sample of the media. Each
step returns the drill with what it has found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any, Protocol

from atelier.backups.drill import Drill, DrillStage, TableSum
from atelier.backups.drill_ports import BackupFolders, MediaVersions, ScratchTables
from atelier.backups.lines import RawItem, fingerprint, has_chains, item_line
from atelier.backups.manifest import Manifest, ManifestTable
from atelier.backups.media_sample import check_media, choose_sample, owner_of
from atelier.backups.ports import BackupFileMissing, ChainForms
from atelier.backups.spool import ItemSpool
from atelier.backups.verify import LEDGER, check_file, check_logs, check_wallets, read_heads

ARCHIVE = "archive#"


class DrillFolder:
    """BackupFolder of one backup among all."""

    def __init__(self, folders: BackupFolders, prefix: str) -> None:
        self._folders, self._prefix = folders, prefix

    def chunks(self, key: str) -> Iterator[bytes]:
        """The bytes of a file. Raises BackupFileMissing."""
        return self._folders.chunks(self._prefix, key)

    def keys(self, prefix: str) -> list[str]:
        """The keys of files below a prefix, without the backup's."""
        return [key.removeprefix(self._prefix) for key in self._folders.keys(self._prefix + prefix)]


class LoadedTables(Protocol):
    """What the check of loaded tables needs."""

    @property
    def scratch(self) -> ScratchTables: ...

    @property
    def forms(self) -> ChainForms: ...


# ---- files -----------------------------------------------------------------------------------------------------------


def check_next_file(drill: Drill, manifest: Manifest, *, folder: DrillFolder) -> Drill:
    """Check one file, or at the end that no table has a file more than the manifest says."""
    files = [(table, file) for table in manifest.tables for file in table.files]
    data_keys = {file.key for _, file in files}
    others = [(None, file) for file in manifest.files() if file.key not in data_keys]
    every = [*files, *others]
    if drill.place >= len(every):
        return drill.with_problems(list(_foreign_files(manifest, folder))).at_stage(DrillStage.LOAD)
    table, file = every[drill.place]
    seen = TableSum()

    def see(item: RawItem, _: bytes) -> bool:
        nonlocal seen
        seen = seen.plus(TableSum(1, fingerprint(item)))
        return True

    problems = list(check_file(file, folder, see if table else None))
    figures = replace(drill.figures, files=drill.figures.files + 1, size_bytes=drill.figures.size_bytes + file.bytes)
    checked = replace(drill, place=drill.place + 1, figures=figures).with_problems(problems)
    if table is None:
        return checked
    return replace(checked, written={**drill.written, table.name: drill.written.get(table.name, TableSum()).plus(seen)})


def _foreign_files(manifest: Manifest, folder: DrillFolder) -> Iterator[str]:
    """Files that an import would load and no backup has written."""
    for table in manifest.tables:
        named = {file.key for file in table.files}
        for key in folder.keys(table.prefix):
            if key not in named:
                yield f"{key}: the manifest does not name this file, and an import of {table.name} would load it"


# ---- loaded tables ---------------------------------------------------------------------------------------------------


def check_next_page(
    drill: Drill, manifest: Manifest, *, folder: DrillFolder, deps: LoadedTables, name_of: Callable[[Drill, str], str]
) -> Drill:
    """Check the next page of a loaded table: count its items, and verify its wallets or logs."""
    tables = [table for table in manifest.tables if table.files]
    if drill.place >= len(tables):
        return drill.at_stage(DrillStage.MEDIA)
    table = tables[drill.place]
    if drill.loads[table.name].failure is not None:
        return _next_table(drill)
    name = name_of(drill, table.name)
    items, after = deps.scratch.page(name, drill.after)
    chained = has_chains(table.name)
    heads = read_heads(manifest, folder, table.name) if chained else {}
    checked = drill
    if chained:
        items, after, owners, problems = _check_chains(name, table, items, after, heads, manifest.cut_at, deps)
        logs = table.name != LEDGER
        figures = replace(
            checked.figures,
            wallets=checked.figures.wallets + (0 if logs else len(owners)),
            logs=checked.figures.logs + (sum(not each.startswith(ARCHIVE) for each in owners) if logs else 0),
        )
        met = checked.heads_met + sum(owner in heads for owner in owners)
        checked = replace(checked, figures=figures, heads_met=met).with_problems(problems)
    found = checked.found
    for item in items:
        found = found.plus(TableSum(1, fingerprint(item)))
    checked = replace(checked, found=found, after=after)
    return checked if after is not None else _end_table(checked, table, heads, name, deps.scratch)


def _check_chains(
    name: str,
    table: ManifestTable,
    items: Sequence[RawItem],
    after: str | None,
    heads: dict[str, tuple[int, str]],
    now: datetime,
    deps: LoadedTables,
) -> tuple[list[RawItem], str | None, list[str], list[str]]:
    """(items, where the next page begins, owners, problems) of a page, each owner of which is taken whole: the last one
    is read to its end, wherever the page ends."""
    every, owners, problems = list[RawItem](), list[str](), list[str]()
    groups = [(owner, list(group)) for owner, group in groupby(items, key=_owner)]
    for place, (owner, group) in enumerate(groups):
        whole: Iterable[RawItem] = group
        if after is not None and place == len(groups) - 1:
            whole = list(deps.scratch.partition(name, owner))
            after = deps.scratch.after_partition(name, owner, str(whole[-1]["sk"]["S"]))
        spool = ItemSpool()
        try:
            for item in whole:
                spool.add(table.name, item, item_line(item))
                every.append(item)
            noted = {owner: heads[owner]} if owner in heads else {}
            check = check_wallets if table.name == LEDGER else check_logs
            problems += check(spool, deps.forms, noted, now)
        finally:
            spool.close()
        owners.append(owner)
    return every, after, owners, problems


def _owner(item: RawItem) -> str:
    owner: Any = item["pk"]["S"]
    return str(owner)


def _end_table(
    drill: Drill, table: ManifestTable, heads: dict[str, tuple[int, str]], name: str, scratch: ScratchTables
) -> Drill:
    """The drill after the last page of a table, with what is wrong with it as a whole."""
    problems, written = list[str](), drill.written.get(table.name, TableSum())
    if drill.found.items != table.items:
        problems.append(f"table {table.name}: it has {drill.found.items} items, and the manifest says {table.items}")
    elif drill.found != written:
        problems.append(f"table {table.name}: its items are not those of its files")
    # Asked for one by one only if some are missing.
    if drill.heads_met < len(heads):
        kind = "wallet" if table.name == LEDGER else "audit log"
        problems += [f"{kind} {owner}: it is not there" for owner in heads if not scratch.has(name, owner)]
    figures = replace(drill.figures, tables=drill.figures.tables + 1, items=drill.figures.items + drill.found.items)
    return _next_table(replace(drill, figures=figures).with_problems(problems))


def _next_table(drill: Drill) -> Drill:
    return replace(drill.at_stage(DrillStage.TABLES), place=drill.place + 1)


# ---- media -----------------------------------------------------------------------------------------------------------


def check_sample(
    drill: Drill,
    manifest: Manifest,
    *,
    folder: DrillFolder,
    media: MediaVersions,
    is_erased: Callable[[str], bool],
) -> Drill:
    """Open a sample of the media files: another one in each drill. Files of a workspace that was erased since are gone
    for good, as they should be."""
    files = (_chunks_or_none(folder, file.key) for file in manifest.media.files)
    sample, problems = choose_sample(files, drill.id), list[str]()
    for entry in sample:
        problem = check_media(entry, media.chunks(str(entry.get("key")), str(entry.get("version"))))
        if problem and not is_erased(owner_of(entry)):
            problems.append(problem)
    figures = replace(drill.figures, media=len(sample))
    return replace(drill, figures=figures).with_problems(problems).at_stage(DrillStage.CLEAR)


def _chunks_or_none(folder: DrillFolder, key: str) -> Iterator[bytes]:
    """The bytes of a file; none if it is not there, which its own check says."""
    try:
        yield from folder.chunks(key)
    except BackupFileMissing:
        return
