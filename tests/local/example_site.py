"""A site of thirty pages, for those who look at one: most written by the API, six by the embedded model."""

from __future__ import annotations

import json
from typing import Any

from tests.local.client import AccountClient, poll_until
from tests.polling import wait_until

PAGES, WRITTEN_BY_MODEL = 30, 6
# A laptop under load may need minutes for six generations.
SECONDS_MAX = 300
WORDS = ("rye", "spelt", "wheat", "oats", "barley", "millet")
# What the settings of an integration have to name, by kind.
SETTINGS: dict[str, dict[str, str]] = {"github": {"owner": "acme", "repository": "site"}}
ENDED = ("live", "failed", "cancelled")


def data_of(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def create_site(person: AccountClient, slug: str) -> dict[str, Any]:
    """A site with PAGES pages; nobody asks for those that the model writes until they are there."""
    theme = {"color-text": "#1d1d1f", "color-background": "#ffffff"}
    settings = {"description": "Bread that is baked at night, and sold in the morning."}
    body = {"name": "Brot & Salz", "slug": slug, "theme": theme, "settings": settings}
    site = data_of(person.http.post("/api/sites", json=body), 201)["site"]
    pages = f"/api/sites/{site['id']}/pages"
    for word in WORDS:
        order = {"kind": "page", "prompt": f"A page for a bakery of {word} bread", "path": f"/written/{word}"}
        data_of(person.http.post(f"/api/sites/{site['id']}/generate", json=order), 202)
    for number in range(PAGES - WRITTEN_BY_MODEL):
        blocks = [
            {"html": f"<section><h1>Bread number {number}</h1><p>Baked at night, sold in the morning.</p></section>"},
            {"html": '<nav aria-label="Breads"><a href="/">All breads</a></nav>', "css": "nav { padding: 1rem }"},
        ]
        body = {"path": f"/breads/{number}" if number else "/", "title": f"Bread number {number}", "blocks": blocks}
        data_of(person.http.post(pages, json=body), 201)
    wait_until(lambda: len(pages_of(person, site)) == PAGES, seconds_max=SECONDS_MAX)
    return site


def pages_of(person: AccountClient, site: dict[str, Any]) -> list[dict[str, Any]]:
    """The pages of a site, at most a hundred."""
    found: list[dict[str, Any]] = data_of(
        person.http.get(f"/api/sites/{site['id']}/pages", params={"limit": 100}), 200
    )["items"]
    return found


def publish(person: AccountClient, site: dict[str, Any], page: dict[str, Any]) -> None:
    """Publish the newest version of a page."""
    data_of(person.http.post(f"/api/sites/{site['id']}/pages/{page['id']}/publish"), 200)


def connect(person: AccountClient, kind: str, token: str) -> dict[str, Any]:
    """The new integration with a host."""
    body = {"kind": kind, "credentials": token, "settings": SETTINGS.get(kind, {})}
    found: dict[str, Any] = data_of(person.http.post("/api/integrations", json=body), 201)["integration"]
    return found


def deployed(person: AccountClient, site: dict[str, Any], target: str = "cloudfront") -> dict[str, Any]:
    """A deployment, when it has ended; AssertionError for one that is not live."""
    made = data_of(person.http.post("/api/deployments", json={"site_id": site["id"], "target": target}), 202)
    path = f"/api/deployments/{made['deployment']['id']}"

    def read() -> dict[str, Any]:
        found: dict[str, Any] = data_of(person.http.get(path), 200)["deployment"]
        return found

    ended = poll_until(read, lambda deployment: deployment["status"] in ENDED, SECONDS_MAX)
    assert ended["status"] == "live", json.dumps(data_of(person.http.get(f"{path}/log"), 200)["lines"], indent=1)
    return ended
