"""The adapter of OpenAI's moderation endpoint, against the simulator for it."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator

import pytest

from atelier.adapters.providers.openai_moderation import CATEGORIES, CHARACTERS_MAX, PIECES_MAX, OpenAIModeration
from atelier.moderation.model import Category, Thumbnail
from infra.simulators.openai import OpenAISimulator

SOON = 5.0
NOTHING: frozenset[Category] = frozenset()


@pytest.fixture
def simulator() -> Iterator[OpenAISimulator]:
    with OpenAISimulator() as running:
        yield running


@pytest.fixture
def moderation(simulator: OpenAISimulator) -> OpenAIModeration:
    return OpenAIModeration(
        api_key=simulator.api_key, model="omni-moderation-latest", base_url=f"{simulator.base_url}/"
    )


def test_each_text_has_its_own_findings(moderation: OpenAIModeration, simulator: OpenAISimulator) -> None:
    texts = ["a fox", "[[moderation:sexual-minors]]", "[[moderation:flagged]] [[moderation:sexual]]"]
    assert moderation.texts(texts, seconds_max=SOON) == (
        frozenset(),
        {Category.MINORS},
        {Category.VIOLENCE, Category.SEXUAL},
    )
    assert [call["body"] for call in simulator.calls] == [{"model": "omni-moderation-latest", "input": texts}]
    assert moderation.texts([], seconds_max=SOON) == ()
    assert len(simulator.calls) == 1


@pytest.mark.parametrize("name", CATEGORIES)
def test_every_openai_category_maps_to_one_of_ours(moderation: OpenAIModeration, name: str) -> None:
    found = moderation.texts([f"[[moderation:{name.replace('/', '-')}]]"], seconds_max=SOON)
    assert found == ({CATEGORIES[name]},)


def test_a_long_text_is_moderated_in_pieces_in_one_request(
    moderation: OpenAIModeration, simulator: OpenAISimulator
) -> None:
    long = "x" * CHARACTERS_MAX * 2 + "[[moderation:flagged]]"
    assert moderation.texts(["a fox", long, "a lake"], seconds_max=SOON) == (NOTHING, {Category.VIOLENCE}, NOTHING)
    assert [len(piece) for piece in simulator.calls[0]["body"]["input"]] == [5, CHARACTERS_MAX, CHARACTERS_MAX, 22, 6]


def test_what_does_not_fit_into_one_request_is_checked_by_further_ones(
    moderation: OpenAIModeration, simulator: OpenAISimulator
) -> None:
    texts = ["x"] * (2 * PIECES_MAX) + ["[[moderation:flagged]]"]
    assert moderation.texts(texts, seconds_max=SOON) == (*[NOTHING] * (2 * PIECES_MAX), {Category.VIOLENCE})
    assert [len(call["body"]["input"]) for call in simulator.calls] == [PIECES_MAX, PIECES_MAX, 1]
    end_of_one_text = "x" * (CHARACTERS_MAX * PIECES_MAX) + "[[moderation:flagged]]"
    assert moderation.texts([end_of_one_text], seconds_max=SOON) == ({Category.VIOLENCE},)


def test_texts_of_which_one_request_got_no_answer_count_as_unchecked(
    moderation: OpenAIModeration, simulator: OpenAISimulator
) -> None:
    texts = ["x"] * PIECES_MAX + ["[[create:500]]"]
    assert moderation.texts(texts, seconds_max=SOON) is None
    assert len(simulator.calls) == 2


def test_an_image_is_sent_as_a_data_url(moderation: OpenAIModeration, simulator: OpenAISimulator) -> None:
    picture = Thumbnail(b"RIFF", "image/webp")
    assert moderation.image(picture, seconds_max=SOON) == frozenset()
    url = f"data:image/webp;base64,{base64.b64encode(b'RIFF').decode()}"
    assert simulator.calls[0]["body"]["input"] == [{"type": "image_url", "image_url": {"url": url}}]
    simulator.behave("moderation:sexual-minors")
    assert moderation.image(picture, seconds_max=SOON) == {Category.MINORS}
    assert moderation.image(picture, seconds_max=SOON) == frozenset()


@pytest.mark.parametrize("trouble", ["401", "429", "500", "503", "lost", "garbage", "empty", "error"])
def test_an_error_or_unreadable_response_gives_no_finding(
    moderation: OpenAIModeration, simulator: OpenAISimulator, trouble: str
) -> None:
    simulator.behave(f"create:{trouble}", creations=2)
    assert moderation.texts(["a fox"], seconds_max=SOON) is None
    assert moderation.image(Thumbnail(b"RIFF", "image/webp"), seconds_max=SOON) is None
    assert len(simulator.calls) == 2


def test_an_unreachable_server_and_a_wrong_key_give_no_finding(simulator: OpenAISimulator) -> None:
    wrong = OpenAIModeration(api_key="sk-wrong", model="omni-moderation-latest", base_url=simulator.base_url)
    assert wrong.texts(["a fox"], seconds_max=SOON) is None
    nobody = OpenAIModeration(api_key="sk", model="omni-moderation-latest", base_url="http://127.0.0.1:9/v1")
    assert nobody.texts(["a fox"], seconds_max=SOON) is None


def test_a_server_that_never_answers_times_out(moderation: OpenAIModeration, simulator: OpenAISimulator) -> None:
    began = time.monotonic()
    assert moderation.texts(["[[create:hang]]"], seconds_max=0.2) is None
    # The client's and the simulator's own time-outs are half a minute.
    assert time.monotonic() - began < 10
