"""Request and response bodies: only JSON that every parser accepts."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from atelier.errors import ValidationFailed
from atelier.http.api import Api
from atelier.http.request import Request, validate_query
from atelier.http.response import Response


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")

    named: Any = None
    amount: float | None = None

    @field_validator("named")
    @classmethod
    def _is_no_fish(cls, value: Any) -> Any:
        if value == "fish":
            raise ValueError("a fish is not taken")
        return value


class Measured(BaseModel):
    model_config = ConfigDict(extra="forbid")

    value: float


def answer_to(text: str, answer: Any = None, body: type[BaseModel] = Anything) -> dict[str, Any]:
    api = Api("tests")

    def take(request: Request[Any]) -> Response:
        return Response(request.body if answer is None else answer)

    api.route("POST", "/things", body=body)(take)
    context = {"requestId": "r-1", "http": {"method": "POST", "path": "/things"}}
    return api.handler({"requestContext": context, "headers": {"content-type": "application/json"}, "body": text}, None)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 400, "9" * 5000])
@pytest.mark.parametrize("where", ['{"named": %s}', '{"surprise": [{"deep": %s}]}', '{"amount": %s}'])
def test_a_number_that_json_does_not_have_is_refused_in_any_field(number: str, where: str) -> None:
    refused = answer_to(where % number)
    assert (refused["statusCode"], json.loads(refused["body"])["error"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("text", ['"\\ud800"', '"\\udc00 \\ud800"', "[" * 300 + "]" * 300])
def test_lone_surrogates_and_deep_nesting_are_refused(text: str) -> None:
    assert answer_to(f'{{"named": {text}}}')["statusCode"] == 400


def test_ordinary_numbers_and_control_characters_are_accepted() -> None:
    said = {"named": [0, -1.5, 1e300, 10**300], "amount": 2.5, "text": '"\\\u0000\u001f\U0001f600'}
    assert json.loads(answer_to(json.dumps(said))["body"])["data"] == said


@pytest.mark.parametrize("kept", [{"value": float("nan")}, Measured(value=float("inf")), [float("-inf")]])
def test_a_stored_number_that_json_does_not_have_is_returned_as_null(kept: Any) -> None:
    answered = answer_to("{}", kept)
    assert "null" in answered["body"]
    json.loads(answered["body"], parse_constant=pytest.fail)


def test_an_unknown_field_is_refused_in_plain_words() -> None:
    refused = json.loads(answer_to('{"value": 1, "colour": "red"}', body=Measured)["body"])
    assert refused["error"] == "VALIDATION_FAILED"
    assert refused["details"] == {"fields": [{"path": "colour", "message": "is not a field of this request"}]}


def test_a_refusal_names_at_most_50_fields_by_short_paths() -> None:
    said = {"value": 1} | {f"{number:03}{'k' * 300}": number for number in range(60)}
    fields = json.loads(answer_to(json.dumps(said), body=Measured)["body"])["details"]["fields"]
    assert len(fields) == 50
    assert fields[0]["path"] == "000" + "k" * 197


def test_a_refused_field_shows_only_the_validators_message() -> None:
    refused = json.loads(answer_to('{"named": "fish"}')["body"])
    assert refused["details"]["fields"] == [{"path": "named", "message": "a fish is not taken"}]


class Typed(BaseModel):
    count: int = 0
    share: float = 0
    is_on: bool = False
    at: AwareDatetime | None = None
    day: date | None = None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", "false"),
        ("share", "true"),
        ("is_on", "0"),
        ("is_on", "1.0"),
        ("at", "0"),
        ("at", "false"),
        ("at", "1700000000.5"),
        ("day", "0"),
        ("day", "false"),
    ],
)
def test_booleans_numbers_and_times_are_not_taken_for_each_other(field: str, value: str) -> None:
    refused = answer_to(f'{{"{field}": {value}}}', body=Typed)
    assert refused["statusCode"] == 422
    assert [each["path"] for each in json.loads(refused["body"])["details"]["fields"]] == [field]


def test_a_number_without_a_fraction_and_a_number_in_text_are_taken_as_before() -> None:
    said = {"count": 2.0, "share": 1, "is_on": True, "at": "2026-11-30T10:00:00Z", "day": "2026-11-30"}
    assert answer_to(json.dumps(said), body=Typed)["statusCode"] == 200
    assert answer_to('{"count": "2"}', body=Typed)["statusCode"] == 200


@pytest.mark.parametrize("sent", ["0", "0.5", "1700000000", "1e9", "-1"])
@pytest.mark.parametrize("name", ["from", "day"])
def test_a_number_in_a_query_is_no_time(name: str, sent: str) -> None:
    class Times(BaseModel):
        begin: AwareDatetime | None = Field(default=None, alias="from")
        day: date | None = None

    with pytest.raises(ValidationFailed):
        validate_query(Times, {name: sent})
    assert validate_query(Times, {"from": "2026-11-30T10:00:00Z", "day": "2026-11-30"}).day == date(2026, 11, 30)
