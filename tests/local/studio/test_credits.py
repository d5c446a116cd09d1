"""Credits in a browser: statement, reasons, and the proof, checked by the page and by verify.py."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from atelier.ledger.verify import ProofMismatch, ProofUnreadable, verify
from tests.local.client import poll_until
from tests.local.conftest import Stack

Proof = dict[str, Any]


def make_image(context: BrowserContext, stack: Stack) -> tuple[str, int]:
    """Makes an image with the session of the browser, and waits until it is paid; returns its id and price."""
    [token] = [str(cookie.get("value")) for cookie in context.cookies() if cookie.get("name") == "__Host-studio-access"]
    with httpx.Client(base_url=stack.base_url, headers={"authorization": f"Bearer {token}"}, timeout=40) as http:
        body = {"prompt": "a quay", "model": "local/canvas", "parameters": {"width": 256, "height": 256}}
        asked = http.post("/api/generate/image", json=body)
        assert asked.status_code == 202, asked.text
        path = f"/api/generations/{asked.json()['data']['generation']['id']}"
        ended = poll_until(
            lambda: http.get(path, headers={"prefer": "wait=10"}).json()["data"]["generation"],
            lambda found: found["status"] not in ("queued", "running"),
        )
    assert ended["status"] == "succeeded", ended
    return ended["id"], ended["credits_charged"]


def change_amount(proof: Proof) -> None:
    proof["entries"][1]["entries"][0]["amount"] += 1


def change_one_digit_of_a_hash(proof: Proof) -> None:
    seal = proof["seals"][0]
    seal["hash"] = seal["hash"][:-1] + ("0" if seal["hash"][-1] != "0" else "1")


def leave_an_entry_out(proof: Proof) -> None:
    del proof["entries"][0]


def leave_the_first_seal_out(proof: Proof) -> None:
    proof["entries"] = proof["entries"][len(proof["seals"].pop(0)["movements"]) :]


def exchange_two_entries(proof: Proof) -> None:
    proof["entries"][:2] = reversed(proof["entries"][:2])


def raise_the_balance(proof: Proof) -> None:
    proof["wallet"]["available"] += 1


def forget_the_newest_seal(proof: Proof) -> None:
    proof["entries"] = proof["entries"][: -len(proof["seals"].pop()["movements"])]


def take_the_end_for_missing(proof: Proof) -> None:
    proof["next_cursor"] = "more"


TAMPERINGS: tuple[tuple[Callable[[Proof], None], str], ...] = (
    (change_amount, "Entry 2 (hold#"),
    (change_one_digit_of_a_hash, "Seal 1 was changed"),
    (leave_an_entry_out, "Another entry stands in the place of entry 1"),
    (leave_the_first_seal_out, "Seal 1 is missing"),
    (exchange_two_entries, "Another entry stands in the place of entry 1"),
    (raise_the_balance, "The balance does not agree: available is"),
    (forget_the_newest_seal, "The head is not the newest seal"),
    (take_the_end_for_missing, "The last part is missing"),
)


def test_credits_after_an_image_are_explained(
    page: Page, sign_up: Callable[[], str], context: BrowserContext, stack: Stack
) -> None:
    sign_up()
    generation_id, price = make_image(context, stack)
    page.goto("/credits")
    expect(page.locator("#available")).to_have_text(str(50 - price))
    movements = page.locator("#statement > li")
    expect(movements).to_have_count(3)
    expect(movements.nth(2)).to_contain_text("Daily credits")
    paid = movements.nth(0)
    paid.locator("summary").click()
    expect(paid.get_by_role("row")).to_have_count(3)
    expect(paid.get_by_role("link", name="To the generation")).to_have_attribute(
        "href", f"/generations/{generation_id}"
    )
    paid.get_by_role("link", name="Why this price?").click()
    page.wait_for_url(f"**/credits/generations/{generation_id}")
    expect(page.get_by_role("region", name="What it came to")).to_contain_text(f"{price} credit")
    expect(page.locator(".statement > li")).to_have_count(2)
    # Nothing had happened a day ago; the form is answered in its place.
    page.goto("/credits")
    page.get_by_label("Time (UTC)").fill("2026-01-01T12:00")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".past-balance")).to_contain_text("0 credits to spend")
    expect(movements).to_have_count(3)


def test_the_browser_proves_the_balance_and_refuses_a_changed_proof(
    page: Page, sign_up: Callable[[], str], context: BrowserContext, stack: Stack
) -> None:
    sign_up()
    make_image(context, stack)
    page.goto("/credits")
    result = page.locator("#proof-result")
    page.get_by_role("button", name="Check it in this browser").click()
    expect(result).to_contain_text("3 entries in")
    expect(result).to_contain_text("all hashes are right")
    expect(result).to_contain_text("The balance agrees")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download the proof").click()
    proof: Proof = json.loads(Path(saved.value.path()).read_text("utf-8"))
    assert verify([copy.deepcopy(proof)]).startswith("sound: 3 entries")
    page.get_by_text("Check a file that you kept").click()
    for tamper, said in TAMPERINGS:
        changed = copy.deepcopy(proof)
        tamper(changed)
        with pytest.raises((ProofMismatch, ProofUnreadable)):
            verify([changed])
        choose_file(page, changed)
        expect(result).to_contain_text("This proof is not right.")
        expect(result).to_contain_text(said)
    # The untouched file is right, also in the API's envelope, and agrees with what this browser has noted.
    choose_file(page, {"success": True, "data": proof})
    expect(result).to_contain_text("which this browser noted")


def choose_file(page: Page, content: Proof) -> None:
    data = json.dumps(content).encode()
    page.get_by_label("Proof files").set_input_files(
        {"name": "proof.json", "mimeType": "application/json", "buffer": data}
    )
