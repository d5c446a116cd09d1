"""The verifier alone: it accepts a sound proof, and detects every change of one."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from atelier.clock import rfc3339
from atelier.ledger import verify
from atelier.ledger.hash_chain import PublicForm, Seal, next_seal, proven_counters, to_public
from atelier.ledger.model import Change, DailyCreditRule, EndState, Hold, Movement, Wallet, new_wallet
from atelier.ledger.plan_hold import plan_hold, plan_settlement
from atelier.ledger.plan_refresh import plan_refresh
from atelier.ledger.verify import ProofMismatch, ProofUnreadable

NOW = datetime(2026, 11, 20, 22, tzinfo=UTC)
WORKSPACE = "wsp_01M7XCN60Q0Z9AH99VAAQWYH99"
GENERATIONS = [f"gen_01M7XC43T8VQH8B4746A8669M{digit}" for digit in range(6)]


def form(movement: Movement, hold: Hold | None = None) -> PublicForm:
    """A movement in the form of the ledger's table."""
    stored: PublicForm = {}
    if hold is not None:
        draws = [[draw.grant_id, draw.amount] for draw in hold.draws]
        stored = {"hold": {"amount": hold.amount, "deadline_at": rfc3339(hold.deadline_at), "draws": draws}}
    entries = [{"account": e.account.value, "amount": e.amount, "grant": e.grant_id} for e in movement.entries]
    return {
        "key": movement.key,
        "order": movement.order,
        "kind": movement.kind,
        "subject": movement.subject,
        "at": rfc3339(movement.at),
        "entries": entries,
        "facts": movement.facts,
        **stored,
    }


def after(wallet: Wallet, change: Change) -> Wallet:
    deltas = {each.grant_id: each for each in change.grants}
    grants = tuple(
        replace(g, remaining=g.remaining + deltas[g.id].remaining, held=g.held + deltas[g.id].held)
        if g.id in deltas
        else g
        for g in wallet.grants
    )
    return replace(
        wallet,
        available=wallet.available + change.available,
        held=wallet.held + change.held,
        holds_open=wallet.holds_open + change.holds_open,
        written=wallet.written + 1,
        grants=grants,
    )


def lived() -> tuple[Wallet, list[list[PublicForm]]]:
    """A wallet over two days: grants, holds, settlements of every kind, an expiry; one hold is still open. Returns its
    movements in the batches that were sealed together."""
    batches: list[list[PublicForm]] = []
    wallet, now, holds = new_wallet(WORKSPACE, "free", NOW), NOW, list[Hold]()
    for number, generation in enumerate(GENERATIONS):
        if wallet.needs_refresh(now):
            plan = plan_refresh(wallet, DailyCreditRule(50), now)
            wallet = plan.wallet
            batches.append([form(movement) for movement in plan.movements])
        opening = plan_hold(
            wallet, generation, 7 + number, now + timedelta(minutes=5), {"model": "münster/日本"}, now, holds_open_max=9
        )
        wallet = after(wallet, opening.change)
        batches[-1].append(form(opening.movement, opening.hold))
        holds.append(opening.hold)
        if number < len(GENERATIONS) - 1:
            state = (EndState.SETTLED, EndState.RELEASED, EndState.EXPIRED)[number % 3]
            charged = 3 if state is EndState.SETTLED else 0
            ending = plan_settlement(opening.hold, state, charged, {"attempts": 1}, now + timedelta(minutes=1))
            wallet = after(wallet, ending.change)
            batches.append([form(ending.movement)])
        now += timedelta(minutes=40)
    return wallet, batches


def pages(cut: int | None = None) -> list[dict[str, Any]]:
    """The proof of that wallet, on one page or on two."""
    wallet, batches = lived()
    seals, head, at = list[Seal](), None, NOW
    for batch in batches:
        at += timedelta(minutes=30)
        head = next_seal(WORKSPACE, head, batch, at)
        seals.append(head)
    found: list[dict[str, Any]] = []
    for first, last in ((0, len(seals)),) if cut is None else ((0, cut), (cut, len(seals))):
        newest, ends = seals[last - 1], last == len(seals)
        found.append(
            {
                "workspace_id": WORKSPACE,
                "wallet": proven_counters(wallet) if ends else None,
                "seals": [to_public(seal) for seal in seals[first:last]],
                "entries": [entry for batch in batches[first:last] for entry in batch],
                "head": {"number": newest.number, "hash": newest.hash, "count": newest.count},
                "next_cursor": None if ends else "b25l",
            }
        )
    return json.loads(json.dumps(found))


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value of a JSON document, including lists and objects."""
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from paths(inner, (*at, name))


def look(document: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        document = document[name]
    return document


def found(proof: list[dict[str, Any]]) -> str:
    """The verifier's message about a proof that was tampered with."""
    with pytest.raises((ProofMismatch, ProofUnreadable)) as fault:
        verify.verify(proof)
    return str(fault.value)


ONE, TWO = pages(), pages(cut=3)
PLACES = [path for path in paths(ONE[0]) if path[0] != "next_cursor"]
TEXT = json.dumps(ONE, separators=(",", ":"))


def test_a_sound_proof_passes_on_one_page_and_on_several_in_any_order() -> None:
    said = verify.verify(ONE)
    assert said.startswith("sound: 14 entries in 7 seals; available 35, held 12, debt 0; head 7 ")
    assert verify.verify(TWO) == verify.verify(TWO[::-1]) == said
    assert verify.verify([{"success": True, "message": "OK", "data": ONE[0]}]) == said


def test_a_proof_of_an_empty_wallet_passes() -> None:
    wallet = proven_counters(new_wallet(WORKSPACE, "free", NOW))
    empty = {"workspace_id": WORKSPACE, "wallet": wallet, "seals": [], "entries": [], "head": None, "next_cursor": None}
    assert verify.verify([empty]).startswith("sound: 0 entries in 0 seals")


def test_each_digest_is_the_sha256_of_sorted_json() -> None:
    entry, seal = ONE[0]["entries"][0], ONE[0]["seals"][0]
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert seal["movements"][0] == [entry["order"], entry["key"], hashlib.sha256(text.encode()).hexdigest()]
    said = {**seal, "workspace_id": WORKSPACE}
    del said["hash"]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert seal["hash"] == hashlib.sha256(text.encode()).hexdigest()


def others(value: Any) -> list[Any]:
    """Values that could replace a value."""
    if isinstance(value, int):
        return [value + 1, -value - 1, float(value), bool(value), str(value), None]
    if isinstance(value, str):
        return [value[:-1], value + "0", value.swapcase() if value.swapcase() != value else "", None, 0]
    return [other for other in ({}, [], None, 0, "", [value]) if other != value]


def test_any_changed_value_is_detected() -> None:
    missed: list[tuple[Any, ...]] = []
    for place in PLACES:
        for other in others(look(ONE[0], place)):
            proof = copy.deepcopy(ONE)
            look(proof[0], place[:-1])[place[-1]] = other
            with suppress(ProofMismatch, ProofUnreadable):
                missed.append((*place, other, verify.verify(proof)))
    assert missed == []


@settings(max_examples=300)
@given(at=st.integers(0, len(TEXT) - 1), bit=st.integers(0, 6))
def test_any_flipped_bit_is_detected(at: int, bit: int) -> None:
    try:
        proof = json.loads(TEXT[:at] + chr(ord(TEXT[at]) ^ (1 << bit)) + TEXT[at + 1 :])
    except ValueError:
        return  # It is no longer JSON: the verifier reports that it cannot be read.
    assume(proof != ONE)  # A hexadecimal digit of an escaped character has only changed its case.
    found(proof)


@pytest.mark.parametrize("change", ["left out", "renamed", "added"])
def test_any_removed_renamed_or_added_field_is_detected(change: str) -> None:
    for place in (path for path in PLACES if isinstance(path[-1], str)):
        proof = copy.deepcopy(ONE)
        of = look(proof[0], place[:-1])
        if change != "added":
            value = of.pop(place[-1])
        if change == "renamed":
            of[f"{place[-1]}_"] = value
        if change == "added":
            of["more"] = 1
        found(proof)


@pytest.mark.parametrize("kind", ["seals", "entries"])
def test_a_removed_repeated_or_reordered_row_is_detected(kind: str) -> None:
    for at in range(len(ONE[0][kind])):
        for change in ("remove", "repeat", "swap"):
            proof = copy.deepcopy(ONE)
            rows = proof[0][kind]
            if change == "remove":
                del rows[at]
            elif change == "repeat":
                rows.insert(at, copy.deepcopy(rows[at]))
            elif at:
                rows[at - 1], rows[at] = rows[at], rows[at - 1]
            else:
                continue
            found(proof)


def test_a_seal_removed_with_its_entries_is_detected() -> None:
    for at in range(len(ONE[0]["seals"])):
        proof = copy.deepcopy(ONE)
        start = proof[0]["seals"][at - 1]["count"] if at else 0
        del proof[0]["entries"][start : proof[0]["seals"][at]["count"]]
        del proof[0]["seals"][at]
        assert f"seal {at + 1}" in found(proof) or at == len(ONE[0]["seals"]) - 1
        found(proof)


def test_the_first_wrong_entry_is_named() -> None:
    proof = copy.deepcopy(ONE)
    entry = proof[0]["entries"][3]
    entry["entries"][0]["amount"] -= 1
    entry["entries"][1]["amount"] += 1
    proof[0]["entries"][7]["facts"]["attempts"] = 2
    assert found(proof) == f"entry 4, {entry['key']}: its digest is not the sealed one"
    del proof[0]["entries"][3]
    assert found(proof).startswith(f"entry 4, {entry['key']}: ")


def resealed(proof: dict[str, Any]) -> dict[str, Any]:
    """The proof with every digest, sum and hash recomputed, as an attacker with write access could do."""
    rows, head, seals = iter(proof["entries"]), None, list[PublicForm]()
    for seal in proof["seals"]:
        batch = [next(rows) for _ in seal["movements"]]
        head = next_seal(WORKSPACE, head, batch, datetime.fromisoformat(seal["at"]))
        seals.append(to_public(head))
    assert head is not None
    named = {"number": head.number, "hash": head.hash, "count": head.count}
    return {**proof, "seals": seals, "head": named}


def test_a_resealed_chain_with_wrong_amounts_is_detected() -> None:
    def tampered(at: int, *amounts: int) -> str:
        proof = copy.deepcopy(ONE[0])
        for line, amount in zip(proof["entries"][at]["entries"], amounts, strict=False):
            line["amount"] = amount
        return found([resealed(proof)])

    verify.verify([resealed(copy.deepcopy(ONE[0]))])
    assert "do not sum to zero" in tampered(0, -50, 500)
    assert "the wallet: available is" in tampered(0, -500, 500)
    assert "does not end what was held" in tampered(2, -8, 3, 5)


def test_a_resealed_chain_does_not_match_a_noted_head() -> None:
    seal = ONE[0]["seals"][2]
    noted = [(seal["number"], seal["hash"])]
    verify.verify(ONE, noted)
    anew = copy.deepcopy(ONE[0])
    anew["entries"][0]["facts"]["source"] = "promo"
    anew = resealed(anew)
    verify.verify([anew])
    with pytest.raises(ProofMismatch, match="seal 3: the chain does not pass through"):
        verify.verify([anew], noted)


def test_missing_duplicate_or_foreign_pages_are_detected() -> None:
    foreign = [{**TWO[0], "workspace_id": WORKSPACE[:-1] + "8"}, TWO[1]]
    for proof in ([], TWO[:1], TWO[1:], [*TWO, TWO[0]], [*TWO, TWO[1]], foreign, [{}], [[]], [None]):
        found(proof)


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """The verifier as a single file, outside the product."""
    return Path(shutil.copy(Path(verify.__file__), tmp_path / "verify_a_wallet.py"))


def run(program: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(program), *arguments], capture_output=True, text=True, check=False, timeout=30
    )
    return done.returncode, done.stdout + done.stderr


def test_the_verifier_runs_as_a_single_file_and_reports_its_result(alone: Path, tmp_path: Path) -> None:
    files = [tmp_path / "1.json", tmp_path / "2.json"]
    for file, page in zip(files, TWO, strict=True):
        file.write_text(json.dumps({"success": True, "data": page}))
    head = f"{ONE[0]['head']['number']}:{ONE[0]['head']['hash']}"
    assert run(alone, *map(str, files), "--head", head) == (0, verify.verify(ONE) + "\n")
    status, said = run(alone, *map(str, files), "--head", f"1:{'0' * 64}")
    assert (status, "does not pass through" in said) == (1, True)
    status, said = run(alone, str(files[0]))
    assert (status, "last page is not there" in said) == (2, True)
    files[1].write_text(files[1].read_text().replace("settle#", "settl3#", 1))
    status, said = run(alone, *map(str, files))
    assert (status, said.startswith("not sound: ")) == (1, True)
    files[1].write_text("{")
    assert run(alone, *map(str, files))[0] == 2
    assert run(alone, str(tmp_path / "missing.json"))[0] == 2
