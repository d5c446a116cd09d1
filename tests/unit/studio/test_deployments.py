"""The page of a deployment says what it can still do."""

from __future__ import annotations

from typing import Any

from studio.rendering import render
from studio.strings import Translator

DEPLOYMENT: dict[str, Any] = {
    "id": "dep_1",
    "target": "cloudfront",
    "status": "live",
    "created_at": "2026-11-28T12:00:00Z",
    "url": "https://bread.example/",
    "failure": None,
    "files": 4,
    "uploaded": 1,
    "current": False,
    "preview": False,
    "rolls_back_to": None,
    "files_removed_at": None,
    "cancel_requested": False,
}


def shown(**facts: Any) -> str:
    values: dict[str, Any] = {"deployment": DEPLOYMENT | facts, "is_open": False, "lines": []}
    return render("deployment_body.html", {"t": Translator("en"), "form_token": "", "form_key": "", **values})


def test_an_earlier_deployment_can_be_shown_again() -> None:
    assert "Roll back to this one" in shown()
    assert "Roll back to this one" not in shown(current=True)


def test_one_whose_files_are_removed_says_why_it_cannot() -> None:
    page = shown(files_removed_at="2026-11-29T12:00:00Z")
    assert "Its files have been removed" in page
    assert "Roll back to this one" not in page
