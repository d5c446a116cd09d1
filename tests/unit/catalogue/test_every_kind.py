"""The whole catalogue: every kind and provider, the candidates of a request, and retired and future models."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from atelier.adapters.providers._http import HttpClient
from atelier.catalogue.catalogue import Catalogue, catalogue
from atelier.catalogue.model import Model, Settlement
from atelier.errors import Unavailable, ValidationFailed
from atelier.provider_port import LATE_SECONDS_MAX, WORK_SECONDS_MAX, Job

TODAY = date(2026, 11, 21)
PROVIDERS = frozenset({"openai", "anthropic", "replicate", "fal", "xai", "stability", "custom", "local"})
ALL = catalogue(PROVIDERS)
LOCAL = catalogue(frozenset({"local"}))


def offered(kind: str, model: str = "auto", parameters: dict[str, Any] | None = None, **ask: Any) -> list[str]:
    _, offers = ALL.offers(kind, model, parameters or {}, today=ask.pop("today", TODAY), seed=1, **ask)
    return [offer.model for offer in offers]


def refusal(kind: str, model: str, parameters: dict[str, Any] | None = None, **ask: Any) -> tuple[str, str]:
    """Path and message of the single validation error."""
    with pytest.raises(ValidationFailed) as refused:
        offered(kind, model, parameters, **ask)
    (field,) = refused.value.facts["fields"]
    return field["path"], field["message"]


# ---- kinds and models ------------------------------------------------------------------------------------------------


def test_each_provider_makes_its_expected_kinds() -> None:
    made = {
        provider: {
            kind for model in ALL.data.models if model.provider == provider for kind in (model.kind, *model.also)
        }
        for provider in PROVIDERS
    }
    expected = {
        "openai": {"text", "page", "image", "audio", "moderation"},
        "anthropic": {"text", "page"},
        "replicate": {"image", "video", "avatar"},
        "fal": {"image", "video"},
        "xai": {"text", "page", "image", "video"},
        "stability": {"image", "upscale", "audio"},
        "custom": {"text", "page", "image", "audio"},
        "local": {"text", "page", "image", "video", "audio", "avatar", "upscale"},
    }
    assert {provider: kinds & made[provider] for provider, kinds in expected.items()} == expected


@pytest.mark.parametrize("kind", ["text", "page", "image", "video", "audio", "avatar"])
def test_every_kind_works_without_a_provider_key(kind: str) -> None:
    _, offers = LOCAL.offers(kind, "auto", {}, today=TODAY, seed=1, prompt="a lighthouse")
    assert [offer.provider for offer in offers] == ["local"]
    assert offers[0].credits_max >= 1
    assert offers[0].cost_microusd == 0


@pytest.mark.parametrize("model", ALL.data.models, ids=lambda model: model.id)
def test_every_model_can_be_offered_priced_and_settled(model: Model) -> None:
    if model.id == "custom/endpoint":
        return
    files = {role: rule["minimum"] for role, rule in model.inputs.items()}
    last_day = (model.sunset_at or TODAY + timedelta(days=1)) - timedelta(days=1)
    parameters, (offer,) = ALL.offers(model.kind, model.id, {}, today=last_day, seed=1, prompt="a fox", files=files)
    is_free = model.kind == "moderation"
    assert (offer.credits_max >= 1) is not is_free
    assert (offer.cost_microusd > 0) is (model.provider != "local" and not is_free)
    end = ALL.settle(model.id, parameters, "succeeded", prompt="a fox", files=files, delivered=1)
    assert 0 <= end.credits <= offer.credits_max
    # Nothing was reported, so the estimate is used: never zero for a billed model.
    assert end == Settlement(end.credits, offer.cost_microusd, "estimate")
    assert (end.credits >= 1) is not is_free


def test_only_the_listed_models_are_free() -> None:
    assert {model.id for model in ALL.data.models if "free" in model.credits} == {
        "custom/endpoint",
        "openai/omni-moderation",
    }


# ---- candidates ------------------------------------------------------------------------------------------------------


def test_auto_skips_models_whose_required_files_are_missing() -> None:
    assert "replicate/photomaker" not in offered("image")
    assert "fal/flux-kontext" not in offered("image")
    alike = offered("image", files={"reference": 2})
    assert {"replicate/photomaker", "fal/flux-kontext-multi", "openai/gpt-image-2"} <= set(alike)
    assert "replicate/sdxl" not in alike
    assert "fal/flux-kontext" in offered("image", files={"image": 1})
    assert "fal/flux-schnell" not in offered("image", files={"image": 1})


def test_unsupported_files_lengths_and_kinds_are_named() -> None:
    assert refusal("image", "replicate/photomaker") == (
        "inputs.reference",
        "replicate/photomaker needs 1 to 4 of these",
    )
    assert refusal("avatar", "replicate/sadtalker", files={"image": 1})[0] == "inputs.audio"
    assert refusal("image", "replicate/sdxl", files={"mask": 1}) == ("inputs.mask", "replicate/sdxl does not take this")
    assert refusal("image", "local/canvas", files={"mask": 1})[0] == "inputs.mask"
    assert refusal("audio", "openai/tts-1", prompt="x" * 4097)[0] == "prompt"
    assert refusal("text", "replicate/sdxl") == ("model", "This model does not make the kind text.")


@pytest.mark.parametrize(
    ("model", "parameters", "path"),
    [
        ("openai/gpt-image-2", {"quality": "best"}, "parameters.quality"),
        ("openai/gpt-image-2", {"width": 2560, "height": 2560}, "parameters.width"),
        ("openai/gpt-image-2", {"width": 256, "height": 1024}, "parameters.width"),
        ("openai/gpt-image-1.5", {"width": 1536, "height": 1536}, "parameters.width"),
        ("stability/core", {"aspect_ratio": 1}, "parameters.aspect_ratio"),
    ],
)
def test_an_unsupported_choice_or_size_is_named(model: str, parameters: dict[str, Any], path: str) -> None:
    assert refusal("image", model, parameters)[0] == path


UNTYPED = "message 0 must have a role (user, assistant or system) and a content, and nothing else"
UNKNOWN_PART = "message 0 has a part that is neither a text nor an image of the workspace"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"temperature": "hot"}, "must be a number"),
        ({"temperature": 2.5}, "must be from 0 to 1"),
        ({"system": 7}, "must be text"),
        ({"system": "x" * 32001}, "must not be longer than 32000 characters"),
        ({"messages": []}, "must be a list of messages with role and content"),
        ({"stop": []}, "must be 1 to 4 texts of 1 to 200 characters"),
        ({"stop": [""]}, "must be 1 to 4 texts of 1 to 200 characters"),
        ({"stop": ["a"] * 5}, "must be 1 to 4 texts of 1 to 200 characters"),
        ({"stop": ["\n"]}, "must not be white space alone"),
        ({"messages": [{"role": "user", "content": ""}]}, "must say something"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "must say something"),
        ({"messages": [{"content": "hello"}]}, UNTYPED),
        ({"messages": [{"role": "tool", "content": "hello"}]}, UNTYPED),
        ({"messages": [{"role": "user", "content": "hello", "cache_control": {"ttl": "1h"}}]}, UNTYPED),
        ({"messages": [{"role": "user", "content": []}]}, UNTYPED),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]}, UNKNOWN_PART),
        ({"messages": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, UNKNOWN_PART),
        ({"messages": [{"role": "user", "content": [{"type": "image", "image": True}]}]}, UNKNOWN_PART),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "image", "image": 0}]}]},
            "message 0 holds an image, which only messages of the role user can",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "image": 0}]}]},
            "must show each image of the request once",
        ),
        ({"messages": [{"role": "user", "content": "x"}] * 201}, "must not have more than 200 messages"),
        ({"messages": [{"role": "user", "content": "x" * 400_001}]}, "must not be longer than 400000 characters"),
    ],
)
def test_invalid_text_parameters_are_refused_with_their_rule(parameters: dict[str, Any], message: str) -> None:
    path = f"parameters.{next(iter(parameters))}"
    assert refusal("text", "anthropic/claude-haiku-4-5", parameters) == (path, message)
    assert refusal("avatar", "replicate/sadtalker", {"still": "yes"}, files={"image": 1, "audio": 1}) == (
        "parameters.still",
        "must be true or false",
    )


def test_a_conversation_is_measured_in_characters_whatever_their_bytes() -> None:
    longest, model = "語" * 400_000, "anthropic/claude-haiku-4-5"
    assert offered("text", model, {"messages": [{"role": "user", "content": longest}]}) == [model]
    parts = [{"type": "text", "text": longest}, {"type": "text", "text": "語"}]
    assert refusal("text", model, {"messages": [{"role": "user", "content": parts}]}) == (
        "parameters.messages",
        "must not be longer than 400000 characters",
    )


def test_candidates_share_common_parameters_and_complete_them_by_model() -> None:
    parameters, offers = ALL.offers("image", "auto", {"width": 1024, "height": 512}, today=TODAY, seed=9)
    assert {offer.provider for offer in offers} == {"fal", "openai", "replicate"}
    assert parameters == {"width": 1024, "height": 512, "n": 1, "seed": 9}
    assert ALL.parameters_for("replicate/sdxl", parameters) == parameters
    later = ALL.parameters_for("openai/gpt-image-2", parameters)
    assert later == {"width": 1024, "height": 512, "n": 1, "quality": "medium", "output_format": "png"}
    # The price is the candidate's own price of the shared parameters, which it is also called with.
    (offer,) = [offer for offer in offers if offer.model == "openai/gpt-image-2"]
    assert ALL.price("openai/gpt-image-2", parameters).credits == offer.credits_max


def test_every_candidate_supports_the_callers_parameters() -> None:
    assert {name.partition("/")[0] for name in offered("image", parameters={"quality": "high"})} == {"openai"}
    assert {name.partition("/")[0] for name in offered("image", parameters={"aspect_ratio": "1:1"})} == {
        "stability",
        "xai",
    }


def test_returned_parameters_give_the_same_offer_again() -> None:
    parameters, offers = ALL.offers("image", "auto", {}, today=TODAY, seed=9)
    again, same = ALL.offers("image", "auto", parameters, today=TODAY, seed=1)
    assert again == parameters
    assert same[0] == offers[0]


def test_a_custom_model_is_free_of_credits_and_requested_by_name() -> None:
    parameters, (offer,) = ALL.offers("text", "custom/llama-4", {"max_tokens": 50}, today=TODAY, seed=1)
    assert (offer.model, offer.provider, offer.credits_max, offer.cost_microusd) == ("custom/llama-4", "custom", 0, 0)
    assert parameters == {"max_tokens": 50, "n": 1}
    assert ALL.model("custom/llama-4").settings == {"model": "llama-4"}
    assert ALL.settle("custom/llama-4", parameters, "succeeded", delivered=1).credits == 0
    assert not any(name.startswith("custom/") for name in offered("text"))
    assert refusal("text", "custom/endpoint")[0] == "model"


def test_a_catalogue_without_enabled_providers_is_unavailable() -> None:
    for model in ("auto", "openai/gpt-5.5"):
        with pytest.raises(Unavailable):
            catalogue(frozenset()).offers("text", model, {}, today=TODAY, seed=1)


# ---- sunsets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "model", "message"),
    [
        ("image", "openai/dall-e-3", "openai/dall-e-3 was shut down on 2026-05-12. Use openai/gpt-image-2."),
        ("image", "openai/dall-e-2", "openai/dall-e-2 was shut down on 2026-05-12. Use openai/gpt-image-2."),
        ("image", "openai/gpt-image-1", "openai/gpt-image-1 was shut down on 2026-10-23. Use openai/gpt-image-2."),
        ("video", "openai/sora-2", "openai/sora-2 was shut down on 2026-09-24. Use fal/wan-2.5."),
        (
            "text",
            "anthropic/claude-3-5-sonnet",
            "anthropic/claude-3-5-sonnet was shut down on 2025-10-28. Use anthropic/claude-sonnet-5.",
        ),
        (
            "image",
            "xai/grok-imagine-image-quality",
            "xai/grok-imagine-image-quality was shut down on 2026-11-02. Use xai/grok-imagine-image-2.0.",
        ),
    ],
)
def test_a_retired_model_is_refused_with_its_successor(kind: str, model: str, message: str) -> None:
    assert refusal(kind, model) == ("model", message)


@pytest.mark.parametrize(
    ("kind", "model", "day"),
    [
        ("image", "openai/gpt-image-1.5", date(2026, 12, 1)),
        ("image", "openai/gpt-image-1-mini", date(2026, 12, 1)),
        ("text", "openai/gpt-5", date(2026, 12, 11)),
        ("text", "openai/o3", date(2026, 12, 11)),
        ("text", "openai/gpt-4o", date(2027, 1, 14)),
        ("text", "openai/gpt-4.1", date(2027, 1, 14)),
    ],
)
def test_a_model_is_offered_until_the_day_before_its_shutdown(kind: str, model: str, day: date) -> None:
    assert offered(kind, model, today=day - timedelta(days=1)) == [model]
    path, message = refusal(kind, model, today=day)
    assert (path, message.startswith(f"{model} was shut down on {day}. Use openai/")) == ("model", True)
    assert model in offered(kind, today=day - timedelta(days=1))
    assert model not in offered(kind, today=day)


def test_a_generation_of_a_retired_model_is_still_settled() -> None:
    assert ALL.model("openai/gpt-5").sunset_at == date(2026, 12, 11)
    assert ALL.settle("openai/gpt-5", {"max_tokens": 100}, "succeeded", delivered=1).credits >= 1


def test_a_published_shutdown_date_overrides_the_catalogues() -> None:
    def is_offered(catalogue: Catalogue, day: date) -> bool:
        return "openai/gpt-5.5" in [model.id for model in catalogue.models_for("text", day)]

    observed = ALL.with_sunsets({"openai/gpt-5.5": date(2026, 12, 24)})
    assert is_offered(observed, date(2026, 12, 23))
    assert not is_offered(observed, date(2026, 12, 24))
    assert is_offered(ALL, date(2026, 12, 24))
    later = ALL.with_sunsets({"openai/gpt-5": date(2027, 6, 1)})
    assert later.offers("text", "openai/gpt-5", {}, today=date(2027, 5, 31), seed=1)
    with pytest.raises(ValidationFailed) as refused:
        observed.offers("text", "openai/gpt-5.5", {}, today=date(2026, 12, 24), seed=1)
    assert refused.value.facts["fields"] == [
        {"path": "model", "message": "openai/gpt-5.5 was shut down on 2026-12-24."}
    ]


# ---- money -----------------------------------------------------------------------------------------------------------


def test_a_text_holds_its_maximum_tokens_and_is_charged_for_the_used_ones() -> None:
    parameters = {"max_tokens": 4096}
    most = ALL.price("openai/gpt-5.5", parameters, prompt="Tell me about lighthouses.")
    # $30 for a million output tokens, $5 for a million input tokens, plus 25 percent, in cents.
    assert most.cost_microusd == 4096 * 30 + (64 + 9) * 5
    assert most.credits == -(-most.cost_microusd * 5 // 40_000)
    end = ALL.settle(
        "openai/gpt-5.5",
        parameters,
        "succeeded",
        prompt="Tell me about lighthouses.",
        delivered=1,
        usage={"tokens_input": 12, "tokens_output": 800},
    )
    assert end == Settlement(4, 12 * 5 + 800 * 30, "usage")
    assert end.credits < most.credits


def test_a_bill_beyond_the_price_is_paid_by_the_operator() -> None:
    most = ALL.price("openai/gpt-5.5", {"max_tokens": 100})
    end = ALL.settle(
        "openai/gpt-5.5",
        {"max_tokens": 100},
        "succeeded",
        delivered=1,
        usage={"tokens_input": 10**6, "tokens_output": 10**6},
    )
    assert end == Settlement(most.credits, 35_000_000, "usage")


def test_a_reported_cost_takes_precedence_over_usage() -> None:
    parameters = {"duration_seconds": 8, "resolution": "480p", "aspect_ratio": "16:9"}
    end = ALL.settle("xai/grok-imagine-video", parameters, "succeeded", delivered=1, reported_microusd=300_000)
    assert end == Settlement(38, 300_000, "provider")
    assert ALL.price("xai/grok-imagine-video", parameters).credits == 50
    # A negative cost is ignored.
    end = ALL.settle("xai/grok-imagine-video", parameters, "succeeded", delivered=1, reported_microusd=-1)
    assert end == Settlement(50, 400_000, "estimate")


def test_fewer_images_and_shorter_videos_cost_less() -> None:
    four = {"width": 1024, "height": 1024, "n": 4}
    assert ALL.settle("fal/flux-dev", four, "succeeded", delivered=4) == Settlement(13, 100_000, "estimate")
    assert ALL.settle("fal/flux-dev", four, "succeeded", delivered=1) == Settlement(4, 100_000, "estimate")
    film = {"duration_seconds": 10}
    assert LOCAL.settle("local/film", film, "succeeded", delivered=1).credits == 20
    assert LOCAL.settle("local/film", film, "succeeded", delivered=1, usage={"output_milliseconds": 4100}).credits == 10
    assert (
        LOCAL.settle("local/film", film, "succeeded", delivered=1, usage={"output_milliseconds": 90_000}).credits == 20
    )


def test_speech_is_charged_for_each_thousand_characters() -> None:
    assert LOCAL.price("local/voice", {}, prompt="").credits == 1
    assert LOCAL.price("local/voice", {}, prompt="x" * 1500).credits == 3


@pytest.mark.parametrize(
    ("model", "cost"),
    # `unknown` counts as billed; a free refusal costs nothing.
    [("openai/gpt-image-2", True), ("anthropic/claude-sonnet-5", True), ("stability/ultra", False)],
)
def test_a_moderated_request_costs_the_operator_if_the_provider_bills_it(model: str, cost: bool) -> None:
    parameters = ALL.parameters_for(model, {})
    end = ALL.settle(model, parameters, "moderated")
    assert (end.credits, end.cost_microusd > 0) == (0, cost)


def test_a_long_texts_time_limit_grows_with_its_tokens() -> None:
    model = catalogue(frozenset({"openai"})).model("openai/gpt-5.4-mini")
    assert model.run_seconds({"max_tokens": 16}) == model.run_seconds_max == 300
    assert model.run_seconds({"max_tokens": 6_000}) == 20 + 6_000 // 15
    assert model.run_seconds({"max_tokens": 32_768}) == WORK_SECONDS_MAX
    assert model.run_seconds({}) == model.run_seconds_max


def test_a_long_texts_offer_has_its_run_time_limit() -> None:
    long = {"max_tokens": 32_768}
    _, (offer,) = catalogue(frozenset({"openai"})).offers(
        "text", "openai/gpt-5.4-mini", long, today=date(2026, 11, 20), seed=1, prompt="Tell all."
    )
    assert offer.run_seconds_max == WORK_SECONDS_MAX


def test_an_attempts_response_timeout_follows_its_run_time_limit() -> None:
    wire = HttpClient("https://api.test", {}, answer_seconds_max=WORK_SECONDS_MAX)
    short, long = (Job("att_1", "text", "m", "Hi.", run_seconds_max=most) for most in (180, 840))
    assert wire.for_job(short).answer_seconds_max == 180 + LATE_SECONDS_MAX
    assert wire.for_job(long).answer_seconds_max == WORK_SECONDS_MAX
