"""The response to a request that creates something."""

from __future__ import annotations

import pytest

from atelier.http.response import created, progress_status

PLACE = "/api/generations/gen_1"


@pytest.mark.parametrize(
    ("replayed", "waited_seconds", "headers"),
    [
        (False, None, {}),
        (True, None, {"Idempotent-Replayed": "true"}),
        (False, 7, {"Preference-Applied": "wait=7"}),
        (True, 7, {"Idempotent-Replayed": "true", "Preference-Applied": "wait=7"}),
    ],
)
def test_the_headers_say_what_became_of_the_request(
    replayed: bool, waited_seconds: int | None, headers: dict[str, str]
) -> None:
    response = created(PLACE, {"id": "gen_1"}, replayed=replayed, waited_seconds=waited_seconds)
    assert (response.status, response.data) == (201, {"id": "gen_1"})
    assert response.headers == {"Location": PLACE} | headers


def test_work_that_goes_on_is_accepted_and_ended_work_is_ok() -> None:
    assert [progress_status(is_final=is_final) for is_final in (False, True)] == [202, 200]
