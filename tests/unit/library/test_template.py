"""Templates: how placeholders are found and filled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.errors import ValidationFailed
from atelier.library.template import VARIABLES_MAX, Template, TemplateVariable, fill_gaps, validate_template

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def template(prompt: str, negative_prompt: str | None = None, *variables: TemplateVariable) -> Template:
    made = Template("tpl_x", "wsp_x", "usr_x", "T", "image", prompt, NOW, NOW, None, negative_prompt)
    return validate_template(replace(made, variables=variables))


def paths(refused: pytest.ExceptionInfo[ValidationFailed]) -> list[str]:
    return [field["path"] for field in refused.value.facts["fields"]]


def test_every_placeholder_is_a_variable_in_order() -> None:
    made = template("{{b}} and {{ a }} and {{b}}", "no {{c}}", TemplateVariable("a", "x"))
    assert made.variables == (TemplateVariable("b"), TemplateVariable("a", "x"), TemplateVariable("c"))


def test_placeholders_are_filled_with_values_or_defaults() -> None:
    made = template("a {{thing}}, {{ mood }}", "no {{thing}}", TemplateVariable("mood", "calm"))
    assert fill_gaps(made, {"thing": "ship"}) == ("a ship, calm", "no ship")
    assert fill_gaps(made, {"thing": "ship", "mood": ""}) == ("a ship, ", "no ship")
    assert fill_gaps(template("a ship"), {}) == ("a ship", None)


def test_missing_and_unknown_variables_are_named() -> None:
    made = template("{{thing}}, {{mood}}", None, TemplateVariable("mood", "calm"))
    with pytest.raises(ValidationFailed) as refused:
        fill_gaps(made, {"place": "here", "other": "x"})
    assert paths(refused) == ["variables.other", "variables.place", "variables.thing"]


@given(st.text(), st.text(alphabet="{}thingmod "))
@settings(deadline=None)
def test_braces_in_a_value_are_plain_text(first: str, second: str) -> None:
    made = template("<{{thing}}|{{mood}}>")
    assert fill_gaps(made, {"thing": first, "mood": second}) == (f"<{first}|{second}>", None)


@given(st.text(alphabet="{}ab _1\n"))
@settings(deadline=None)
def test_a_template_prompt_is_parsed_completely_or_refused(prompt: str) -> None:
    try:
        made = template(prompt)
    except ValidationFailed:
        return
    text, _ = fill_gaps(made, {variable.name: "" for variable in made.variables})
    assert text.count("{{") <= prompt.count("{{{")


def test_a_template_too_large_to_store_is_refused_at_its_largest_field() -> None:
    gaps = tuple(TemplateVariable(f"v{number}", '"' * 20_000) for number in range(VARIABLES_MAX))
    prompt = " ".join(f"{{{{{gap.name}}}}}" for gap in gaps)
    with pytest.raises(ValidationFailed) as refused:
        template(prompt, None, *gaps)
    assert [each["path"] for each in refused.value.facts["fields"]] == ["variables"]
