"""A site of thirty pages, for those who look at one: most written by the API, six by the embedded model."""

from __future__ import annotations

from typing import Any

from tests.local.client import AccountClient
from tests.polling import wait_until

PAGES, WRITTEN_BY_MODEL = 30, 6
# A laptop under load may need minutes for six generations.
SECONDS_MAX = 300
WORDS = ("rye", "spelt", "wheat", "oats", "barley", "millet")


def data_of(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def create_site(person: AccountClient, slug: str) -> dict[str, Any]:
    """A site with PAGES pages; nobody asks for those that the model writes until they are there."""
    theme = {"color-text": "#1d1d1f", "color-background": "#ffffff"}
    body = {"name": "Brot & Salz", "slug": slug, "theme": theme}
    site = data_of(person.http.post("/api/sites", json=body), 201)["site"]
    pages = f"/api/sites/{site['id']}/pages"
    for number in range(PAGES - WRITTEN_BY_MODEL):
        blocks = [
            {"html": f"<section><h1>Bread number {number}</h1><p>Baked at night, sold in the morning.</p></section>"},
            {"html": '<nav aria-label="Breads"><a href="/">All breads</a></nav>', "css": "nav { padding: 1rem }"},
        ]
        body = {"path": f"/breads/{number}" if number else "/", "title": f"Bread number {number}", "blocks": blocks}
        data_of(person.http.post(pages, json=body), 201)
    for word in WORDS:
        order = {"kind": "page", "prompt": f"A page for a bakery of {word} bread", "path": f"/written/{word}"}
        data_of(person.http.post(f"/api/sites/{site['id']}/generate", json=order), 202)

    def written() -> bool:
        found = data_of(person.http.get(pages, params={"limit": 100}), 200)["items"]
        return len(found) == PAGES

    wait_until(written, seconds_max=SECONDS_MAX)
    return site
