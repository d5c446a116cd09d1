"""The verifier alone on audit logs: it accepts sound files, and names the first event that is not what was sealed."""

from __future__ import annotations

import copy
import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.audit_log.proof import SealedEvents, proof_lines
from atelier.audit_log.seals import event_form, next_seal, to_public
from atelier.ledger import verify
from atelier.ledger.verify import ProofMismatch, ProofUnreadable, seal_hash, verify_events

NOW = datetime(2026, 11, 20, 22, tzinfo=UTC)
LOG = "wsp_01M7XCN60Q0Z9AH99VAAQWYH99"
SIZES = (1, 3, 2, 4)


def event(number: int) -> AuditEvent:
    origin = Origin("usr_1", None, "203.0.113.7", "Ünïcode “agent” 🦊", f"req-{number}")
    at = NOW + timedelta(minutes=number)
    return audit_event(LOG, "key.added", origin, at, target=f"key_{number}", before=None, after={"name": f"n{number}"})


def sealed(log: str = LOG) -> list[SealedEvents]:
    """Four seals over ten events."""
    found, previous, number = list[SealedEvents](), None, 0
    for size in SIZES:
        forms = [event_form(event(number + each)) for each in range(size)]
        number += size
        previous = next_seal(log, previous, forms, NOW + timedelta(minutes=number))
        found.append(SealedEvents(previous, tuple(forms)))
    return found


SEALED = sealed()
Lines = list[Any]


def lines(part: list[SealedEvents] = SEALED, next_cursor: str | None = None) -> Lines:
    return [json.loads(line) for line in proof_lines(LOG, part, next_cursor).splitlines()]


def fault(*files: Lines, heads: list[tuple[int, str]] | None = None) -> str:
    with pytest.raises(ProofMismatch) as found:
        verify_events(list(files), heads)
    return str(found.value)


def id_of(number: int) -> str:
    """The id of an event, counted from 1."""
    return [form["id"] for each in SEALED for form in each.events][number - 1]


def test_a_sound_file_is_accepted_and_shows_its_head() -> None:
    last = SEALED[-1].seal
    assert verify_events([lines()]) == f"sound: 10 events in 4 seals; head 4 {last.hash}"
    assert verify_events([lines([])]) == "sound: 0 events in 0 seals; head none"
    assert verify_events([lines()], [(2, SEALED[1].seal.hash)])


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_files_are_joined_in_any_order_and_may_overlap(cut: int) -> None:
    assert verify_events([lines(SEALED[cut:]), lines(SEALED[:cut], "more")]) == verify_events([lines()])
    assert verify_events([lines(SEALED[cut - 1 :]), lines(SEALED[:cut])]) == verify_events([lines()])
    assert f"from seal {cut + 1} on" in verify_events([lines(SEALED[cut:])])


def test_a_gap_between_files_is_named() -> None:
    assert fault(lines(SEALED[:1]), lines(SEALED[2:])) == "seal 2: it is not there; number 3 stands in its place"


def changed(change: Callable[[Lines], None]) -> Lines:
    copied = copy.deepcopy(lines())
    change(copied)
    return copied


def place(copied: Lines, number: int) -> int:
    return next(at for at, line in enumerate(copied) if line.get("event", {}).get("id") == id_of(number))


def test_a_changed_event_is_named() -> None:
    def forge(copied: Lines) -> None:
        copied[place(copied, 3)]["event"]["facts"]["after"]["name"] = "another"

    assert fault(changed(forge)) == f"event 3, {id_of(3)}: its digest is not the sealed one"


def test_a_removed_event_is_named() -> None:
    def remove(copied: Lines) -> None:
        del copied[place(copied, 3)]

    assert fault(changed(remove)) == f"event 3, {id_of(3)}: it was sealed and is not there"


def test_an_inserted_event_is_named() -> None:
    inserted = event_form(event(99))

    def insert(copied: Lines) -> None:
        copied.insert(place(copied, 3), {"event": inserted})

    assert fault(changed(insert)) == f"event 3, {inserted['id']}: no seal covers it"


def test_moved_events_are_named() -> None:
    def swap(copied: Lines) -> None:
        at = place(copied, 3)
        copied[at], copied[at + 1] = copied[at + 1], copied[at]

    assert fault(changed(swap)) == f"event 3, {id_of(3)}: {id_of(4)} stands in its place"


def test_a_removed_seal_is_named() -> None:
    assert fault(lines([SEALED[0], *SEALED[2:]])) == "seal 2: it is not there; number 3 stands in its place"


def test_events_and_seals_cut_from_the_end_are_missed_by_a_noted_head() -> None:
    last = SEALED[-1].seal
    assert fault(lines(SEALED[:3]), heads=[(4, last.hash)]) == (
        f"seal 4: the chain does not pass through this head, {last.hash}"
    )


def test_a_chain_that_was_written_anew_is_missed_by_a_noted_head() -> None:
    """Whoever can write the whole table can seal other events soundly; only the noted head shows it."""
    forged = [form | {"action": "key.removed"} for form in SEALED[0].events]
    seals = [next_seal(LOG, None, forged, NOW + timedelta(minutes=1))]
    for each in SEALED[1:]:
        seals.append(next_seal(LOG, seals[-1], each.events, NOW + timedelta(minutes=30)))
    anew = [SealedEvents(seals[0], tuple(forged)), *map(SealedEvents, seals[1:], (each.events for each in SEALED[1:]))]
    assert verify_events([lines(anew)])
    assert "does not pass" in fault(lines(anew), heads=[(1, SEALED[0].seal.hash)])


def test_another_log_is_refused() -> None:
    other = [json.loads(line) for line in proof_lines("wsp_other", SEALED).splitlines()]
    assert fault(other) == "seal 1: its hash is not that of what it says"
    assert fault(lines(SEALED[:1]), other[:1] + lines(SEALED[1:])[1:]) == "the files are of different logs"


def test_an_event_that_was_sealed_twice_is_refused() -> None:
    again = next_seal(LOG, SEALED[0].seal, SEALED[0].events, NOW + timedelta(minutes=9))
    part = [SEALED[0], SealedEvents(again, SEALED[0].events)]
    assert fault(lines(part)) == f"event 2, {id_of(1)}: it happened before"


def test_a_seal_that_is_older_than_an_event_is_refused() -> None:
    seal = SEALED[0].seal
    early = replace(seal, at="2026-11-20T21:00:00.000Z")
    early = replace(early, hash=seal_hash(LOG, to_public(early), owner="log"))
    assert fault(lines([SealedEvents(early, SEALED[0].events)])) == f"event 1, {id_of(1)}: it is younger than its seal"


def test_an_incomplete_file_cannot_be_checked() -> None:
    for broken in (lines()[:-1], lines(SEALED, "more"), [lines()[0], {"event": {}}, lines()[-1]]):
        with pytest.raises(ProofUnreadable):
            verify_events([broken])
    with pytest.raises(ProofUnreadable, match="seal 1 is in an earlier file"):
        verify_events([lines(SEALED[1:])], [(1, SEALED[0].seal.hash)])


@settings(max_examples=400)
@given(st.data())
def test_no_change_of_a_file_is_accepted(data: st.DataObject) -> None:
    """Any value of the file replaced by another, or a line dropped, doubled or moved."""
    copied = copy.deepcopy(lines())
    kind = data.draw(st.sampled_from(["value", "drop", "double", "swap"]))
    at = data.draw(st.integers(1, len(copied) - 1))
    if kind == "drop":
        del copied[at]
    elif kind == "double":
        copied.insert(at, copied[at])
    elif kind == "swap":
        other = data.draw(st.integers(1, len(copied) - 1).filter(lambda other: other != at))
        copied[at], copied[other] = copied[other], copied[at]
    else:
        holder = copied[data.draw(st.integers(0, len(copied) - 1))]
        while True:
            key = data.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
            if not isinstance(holder[key], dict | list) or not holder[key] or data.draw(st.booleans()):
                break
            holder = holder[key]
        before = holder[key]
        after = st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.lists(st.integers(), max_size=2)
        holder[key] = data.draw(after.filter(lambda after: json.dumps(after) != json.dumps(before)))
    with pytest.raises((ProofMismatch, ProofUnreadable)):
        verify_events([copied])


def run(*arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", verify.__file__, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_the_command_reads_plain_and_compressed_files(tmp_path: Path) -> None:
    plain, archived = tmp_path / "export.ndjson", tmp_path / "2026-10.ndjson.gz"
    plain.write_bytes(proof_lines(LOG, SEALED[2:]))
    archived.write_bytes(gzip.compress(proof_lines(LOG, SEALED[:2])))
    last = SEALED[-1].seal
    sound = f"sound: 10 events in 4 seals; head 4 {last.hash}\n"
    assert run(plain, archived, "--head", f"1:{SEALED[0].seal.hash}") == (0, sound)
    assert run(plain, archived, "--head", f"1:{last.hash}")[0] == 1
    plain.write_bytes(proof_lines(LOG, SEALED[2:])[:-9])
    status, said = run(plain)
    assert (status, said.startswith("cannot be checked")) == (2, True)
    no_seal = b'{"log": 1}\n{"seal": 3}\n{"head": null, "next_cursor": null}'
    for junk in (b"", b"5", b"{}\n{}", b'{"log": 1}', b'{"log": 1}\n7', no_seal):
        plain.write_bytes(junk)
        status, said = run(plain)
        assert (status > 0, "Traceback" in said) == (True, False), said


def test_every_seal_follows_the_one_before() -> None:
    for before, after in pairwise(each.seal for each in SEALED):
        assert (after.previous, after.number, after.count) == (
            before.hash,
            before.number + 1,
            before.count + len(after.events),
        )
