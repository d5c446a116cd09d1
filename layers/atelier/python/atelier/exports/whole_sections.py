"""The sections of an export of everything that are no records: what is in it, and the proofs of wallet and logs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from atelier.audit_log.ports import AuditSeals
from atelier.audit_log.proof import build_proof, proof_lines
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.exports.whole_export import WholeExport
from atelier.exports.whole_ports import Piece
from atelier.item_kinds import KINDS, USER, WORKSPACE
from atelier.ledger.prove import cursor_after

# Of a proof: how many bytes of it are in memory at a time.
PROOF_BYTES_MAX = 4_000_000
# The place behind a section of one piece.
DONE = "done"

README = """\
Everything that Atelier keeps of workspace {workspace_id}{account}, requested at {created_at}.

Unpack all zip files of the export into one folder. It has:

  README.txt   this text
  account/     of a personal workspace: the account of its owner
  workspace/   the workspace, its members, invitations and API tokens
  *.ndjson     records, one JSON object in each line; `key` is the record's id. A file that is longer than a zip file
               goes on in the next one as `.part2.ndjson` and so on.
  credits/     the wallet; `statement` has each movement of credits, and the files `proof-…` prove it
  audit/       what happened that matters to safety, with its seals
  media/       the files themselves; an asset's file is `media/<sha256 of the record>.<ending>`

Records that were written while the export ran may be in it or not, and so may events of the last minute.

The proofs are checked offline, with Python alone, by `verify.py` of Atelier's repository (layers/atelier/python/
atelier/ledger/): `python verify.py credits/proof-*.json`, and `python verify.py audit/{workspace_id}*.ndjson`.

What is left out, and why:

{left_out}

Of the records that are in it, these attributes are left out, because they are secrets or made from secrets:

{without}
"""


class ReadmeSection:
    """What is in the export, and what is not."""

    def pieces(self, export: WholeExport, after: str | None) -> Iterator[Piece]:
        """One file."""
        if after is None:
            yield Piece("README.txt", [readme(export).encode()], DONE)


def readme(export: WholeExport) -> str:
    """The text that explains an export."""
    owners = (WORKSPACE, USER) if export.with_account else (WORKSPACE,)
    mine = [kind for kind in KINDS if kind.pk in owners]
    left_out = [f"  {kind.table}, {kind.pk}… {kind.sk}…: {kind.why}" for kind in mine if kind.file is None]
    without = [f"  {kind.file}.ndjson: {', '.join(kind.without)}" for kind in mine if kind.file and kind.without]
    return README.format(
        workspace_id=export.workspace_id,
        account=f" and of its owner, {export.user_id}" if export.with_account else "",
        created_at=rfc3339(export.created_at),
        left_out="\n".join(left_out),
        without="\n".join(without),
    )


@dataclass(frozen=True, slots=True)
class WalletProofSection:
    """The proof of the wallet. page(workspace id, number of a seal): the proof's page after that seal, and the number
    after which the next one begins, None at the end."""

    page: Callable[[str, int], tuple[dict[str, Any], int | None]]

    def pieces(self, export: WholeExport, after: str | None) -> Iterator[Piece]:
        """One file for each page."""
        position = int(after or 0)
        while position >= 0:
            page, next_position = self.page(export.workspace_id, position)
            body = json.dumps({**page, "next_cursor": cursor_after(next_position)}, ensure_ascii=False)
            place = -1 if next_position is None else next_position
            yield Piece(f"credits/proof-{position:012d}.json", [body.encode("utf-8", "backslashreplace")], str(place))
            position = place


@dataclass(frozen=True, slots=True)
class LogSection:
    """The log of the workspace or of its owner, as its proof. owner: WORKSPACE or USER."""

    owner: str
    seals: AuditSeals

    def pieces(self, export: WholeExport, after: str | None) -> Iterator[Piece]:
        """One file for each page of the proof."""
        log = log_of(export, self.owner)
        position = int(after or 0)
        while log and position >= 0:
            sealed, next_position = build_proof(log, position, reads=self.seals, bytes_max=PROOF_BYTES_MAX)
            place = -1 if next_position is None else next_position
            data = proof_lines(log, sealed, cursor_after(next_position))
            yield Piece(f"audit/{log}-{position:012d}.ndjson", [data], str(place))
            position = place


def log_of(export: WholeExport, owner: str) -> str | None:
    """Whose records a section has: the workspace, or the user when the account is exported too."""
    if owner == WORKSPACE:
        return export.workspace_id
    return export.user_id if export.with_account else None
