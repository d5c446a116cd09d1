"""The statement: each movement says in plain words what it was, and why."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from studio.pages.credits import describe
from studio.strings import Translator
from studio.visit import Visit

MONTHLY = {"source": "monthly", "tier": "pro@2", "invoice": "in_1", "period_start": "2026-11-28T00:00:00.000Z"}


def described(kind: str, facts: dict[str, Any], language: str = "en") -> str:
    visit = cast(Visit, SimpleNamespace(t=Translator(language)))
    return describe(visit, {"kind": kind, "facts": facts, "at": "2026-11-30T12:00:00.000Z"})


@pytest.mark.parametrize(
    ("kind", "facts", "words"),
    [
        ("grant", MONTHLY, "Monthly credits of pro, from 2026-11-28"),
        ("grant", {**MONTHLY, "period_start": None}, "Monthly credits of pro, from 2026-11-30"),
        ("grant", {"source": "monthly"}, "Monthly credits"),
        ("grant", {"source": "purchase", "pack": "small@1"}, "Bought credits"),
        (
            "grant",
            {"source": "refund", "reason": "dispute won"},
            "Credits returned: the payment stands after the dispute",
        ),
        ("grant", {"source": "refund", "reason": "refund failed"}, "Credits returned: the refund failed"),
        ("grant", {"source": "refund"}, "Refund"),
        ("revoke", {"reason": "refund"}, "Credits taken back: payment refunded"),
        ("revoke", {"reason": "dispute"}, "Credits taken back: payment disputed at the bank"),
        ("revoke", {"reason": "something else"}, "Credits taken back"),
        # An administrator's reason is a free text, and no code.
        ("adjust", {"reason": "refund"}, "Correction"),
        ("a new kind", {}, "a new kind"),
    ],
)
def test_a_movement_says_what_it_was_and_why(kind: str, facts: dict[str, Any], words: str) -> None:
    assert described(kind, facts) == words


def test_a_movement_speaks_german() -> None:
    assert described("grant", MONTHLY, "de") == "Monatliche Credits von pro, ab 2026-11-28"
    assert described("revoke", {"reason": "refund"}, "de") == "Credits zurückgenommen: Zahlung erstattet"
