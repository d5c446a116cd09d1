"""Models write for a site, offline, on the whole stack."""

from __future__ import annotations

import pytest

from tests.local.client import AccountClient
from tests.local.conftest import Stack
from tests.local.example_site import data_of, pages_of
from tests.polling import wait_until


@pytest.fixture
def person(stack: Stack) -> AccountClient:
    return AccountClient(stack.base_url)


def test_a_page_that_a_model_writes_is_a_draft_with_its_lineage(person: AccountClient) -> None:
    site = data_of(person.http.post("/api/sites", json={"name": "Bakery", "slug": "drafts-of-a-model"}), 201)["site"]
    pages = f"/api/sites/{site['id']}/pages"
    order = {"kind": "page", "prompt": "A page for a bakery of rye bread", "path": "/written/rye", "wait": 25}
    writing = person.http.post(f"/api/sites/{site['id']}/generate", json=order).json()["data"]["writing"]
    person.wait_for_end(writing["generation_id"])
    wait_until(lambda: len(pages_of(person, site)) == 1)
    (page,) = pages_of(person, site)
    (version,) = data_of(person.http.get(f"{pages}/{page['id']}/versions"), 200)["items"]
    assert (page["status"], version["generation_id"]) == ("draft", writing["generation_id"])
    blocks = data_of(person.http.get(f"{pages}/{page['id']}"), 200)["page"]["blocks"]
    assert sum(block["html"].count("<h1>") for block in blocks) == 1


def test_a_page_is_improved_and_translated_while_its_writer_waits(person: AccountClient) -> None:
    site = data_of(person.http.post("/api/sites", json={"name": "Waiting", "slug": "waiting-site"}), 201)["site"]
    body = {"path": "/", "title": "Welcome", "blocks": [{"id": "b1", "html": "<h1>Welcome to our shop</h1>"}]}
    page = data_of(person.http.post(f"/api/sites/{site['id']}/pages", json=body), 201)["page"]
    order = {"kind": "content", "task": "translate", "language": "de", "page_id": page["id"], "path": "/de"}
    quoted = data_of(person.http.post(f"/api/sites/{site['id']}/generate/quote", json=order), 200)
    answer = person.http.post(
        f"/api/sites/{site['id']}/generate", json={**order, "quote_id": quoted["quote_id"], "wait": 25}
    )
    assert answer.status_code in (200, 202), answer.text
    generation_id = answer.json()["data"]["writing"]["generation_id"]
    person.wait_for_end(generation_id)
    path = f"/api/sites/{site['id']}/writings/{generation_id}"
    writing = data_of(person.http.get(path), 200)["writing"]
    assert (writing["state"], writing["credits_charged"]) == ("saved", quoted["credits"])
    translated = data_of(person.http.get(f"/api/sites/{site['id']}/pages/{writing['page_id']}"), 200)["page"]
    assert (translated["path"], translated["language"]) == ("/de", "de")
    assert translated["blocks"][0]["html"] == "<h1>Willkommen to unser Laden</h1>"
