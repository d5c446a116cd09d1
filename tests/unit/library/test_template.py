"""Templates: how placeholders are found and filled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.errors import ValidationFailed
from atelier.library.template import VARIABLES_MAX, Template, Variable, checked, filled

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def template(prompt: str, negative_prompt: str | None = None, *variables: Variable) -> Template:
    made = Template("tpl_x", "wsp_x", "usr_x", "T", "image", prompt, NOW, NOW, None, negative_prompt)
    return checked(replace(made, variables=variables))


def paths(refused: pytest.ExceptionInfo[ValidationFailed]) -> list[str]:
    return [field["path"] for field in refused.value.facts["fields"]]


def test_every_gap_is_a_variable_in_its_order() -> None:
    made = template("{{b}} and {{ a }} and {{b}}", "no {{c}}", Variable("a", "x"))
    assert made.variables == (Variable("b"), Variable("a", "x"), Variable("c"))


def test_gaps_are_filled_with_what_is_given_or_with_the_default() -> None:
    made = template("a {{thing}}, {{ mood }}", "no {{thing}}", Variable("mood", "calm"))
    assert filled(made, {"thing": "ship"}) == ("a ship, calm", "no ship")
    assert filled(made, {"thing": "ship", "mood": ""}) == ("a ship, ", "no ship")
    assert filled(template("a ship"), {}) == ("a ship", None)


def test_a_missing_variable_and_one_too_many_are_named() -> None:
    made = template("{{thing}}, {{mood}}", None, Variable("mood", "calm"))
    with pytest.raises(ValidationFailed) as refused:
        filled(made, {"place": "here", "other": "x"})
    assert paths(refused) == ["variables.other", "variables.place", "variables.thing"]


@given(st.text(), st.text(alphabet="{}thingmod "))
@settings(deadline=None)
def test_a_value_is_text_whatever_braces_it_has(first: str, second: str) -> None:
    made = template("<{{thing}}|{{mood}}>")
    assert filled(made, {"thing": first, "mood": second}) == (f"<{first}|{second}>", None)


@given(st.text(alphabet="{}ab _1\n"))
@settings(deadline=None)
def test_a_prompt_is_taken_or_refused_and_never_half_understood(prompt: str) -> None:
    try:
        made = template(prompt)
    except ValidationFailed:
        return
    text, _ = filled(made, {variable.name: "" for variable in made.variables})
    assert text.count("{{") <= prompt.count("{{{")


def test_a_template_larger_than_can_be_kept_is_refused_at_its_largest_part() -> None:
    gaps = tuple(Variable(f"v{number}", '"' * 20_000) for number in range(VARIABLES_MAX))
    prompt = " ".join(f"{{{{{gap.name}}}}}" for gap in gaps)
    with pytest.raises(ValidationFailed) as refused:
        template(prompt, None, *gaps)
    assert [each["path"] for each in refused.value.facts["fields"]] == ["variables"]
