"""Which of several declared paths a request takes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

import pytest

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created, render

PATHS = ("/things/<thing_id>", "/things/newest", "/things/<rest+>", "/things/<thing_id>/parts", "/things/newest/parts")
TAKEN = [
    ("/things/7", "/things/<thing_id>"),
    ("/things/newest", "/things/newest"),
    ("/things/newest/", "/things/newest"),
    ("/things/7/parts", "/things/<thing_id>/parts"),
    ("/things/newest/parts", "/things/newest/parts"),
    ("/things/7/parts/3", "/things/<rest+>"),
]


def api(paths: Sequence[str]) -> Api:
    made = Api("tests")
    for path in paths:

        def answer(request: Request[Empty], path: str = path) -> Response:
            return Response({"path": path})

        made.route("GET", path)(answer)
    return made


@pytest.mark.parametrize("declared", list(itertools.permutations(PATHS)), ids="-".join)
def test_a_literal_path_goes_before_a_pattern_in_any_order_of_declaration(declared: Sequence[str]) -> None:
    made = api(declared)
    for path, taken in TAKEN:
        event = {"requestContext": {"requestId": "r-1", "http": {"method": "GET", "path": path}}}
        assert json.loads(made.handler(event, None)["body"])["data"] == {"path": taken}


def test_the_methods_of_a_literal_path_are_its_own() -> None:
    made = api(["/things/<thing_id>"])
    made.route("POST", "/things/newest")(lambda request: Response())
    event = {"requestContext": {"requestId": "r-1", "http": {"method": "GET", "path": "/things/newest"}}}
    refused = made.handler(event, None)
    assert (refused["statusCode"], refused["headers"]["Allow"]) == (405, "POST")


@pytest.mark.parametrize(("replayed", "headers"), [(False, {}), (True, {"Idempotent-Replayed": "true"})])
def test_the_response_to_a_creation_names_its_location_and_a_replay(replayed: bool, headers: dict[str, str]) -> None:
    response = render(created("/things/7", {"id": "7"}, replayed=replayed), raw=True)
    assert (response["statusCode"], response["body"]) == (201, '{"id":"7"}')
    assert response["headers"].items() >= {"Location": "/things/7", **headers}.items()
    assert ("Idempotent-Replayed" in response["headers"]) is replayed
