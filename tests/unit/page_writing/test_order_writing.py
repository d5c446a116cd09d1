"""An order needs the permission to spend as well as the one to edit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from atelier.caller import Caller
from atelier.errors import Forbidden
from atelier.page_writing.model import WritingOrder, WritingRequestFacts
from atelier.page_writing.order_writing import order_writing, quote_writing
from atelier.page_writing.prompt import WritingKind

NOW = datetime(2026, 11, 30, tzinfo=UTC)
WANTED = WritingRequestFacts(WritingOrder("sit_1", WritingKind.PAGE), "A page")


@pytest.mark.parametrize("scopes", [("sites.edit",), ("sites.edit", "generations.read")])
def test_a_token_that_may_only_edit_orders_nothing(scopes: tuple[str, ...]) -> None:
    caller = Caller("usr_1", "wsp_1", "owner", token_id="tok_1", scopes=scopes)
    # Nothing is read before the refusal, so there is nothing to read from.
    nothing = cast("Any", None)
    for order in (order_writing, quote_writing):
        with pytest.raises(Forbidden, match=r"generations\.create"):
            order(nothing, caller, WANTED, NOW)


def test_the_same_request_is_the_same_after_the_page_has_changed() -> None:
    order = WritingOrder("sit_1", WritingKind.CONTENT, page_id="pag_1", base_version=1)
    later = WritingOrder("sit_1", WritingKind.CONTENT, page_id="pag_1", base_version=2)
    assert WritingRequestFacts(order, "x").fingerprint() == WritingRequestFacts(later, "x").fingerprint()
    assert WritingRequestFacts(order, "x").fingerprint() != WritingRequestFacts(order, "y").fingerprint()
