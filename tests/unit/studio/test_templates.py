"""The variables of a template's prompts, and the preview."""

from __future__ import annotations

from studio.pages.templates import filled_pieces, variable_names


def test_variables_are_named_once_in_their_order() -> None:
    typed = {"prompt": "{{b}} and {{ a }} and {{b}} {{7}} {{}}", "negative_prompt": "no {{c_1}}"}
    assert variable_names(typed) == ["b", "a", "c_1"]


def test_a_value_with_braces_is_no_variable_in_the_preview() -> None:
    pieces = filled_pieces("{{animal}} in {{place}}!", {"animal": "a {{place}}", "place": ""})
    assert pieces == [("a {{place}}", True), (" in ", False), ("place", True), ("!", False)]
