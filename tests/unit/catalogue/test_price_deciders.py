"""Every parameter and every file that changes a provider's bill changes the price."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from atelier.catalogue.catalogue import catalogue
from atelier.catalogue.model import Model
from atelier.catalogue.sizes import NO_FACTS, InputFacts
from atelier.catalogue.speech_duration import spoken_milliseconds
from atelier.errors import ValidationFailed

TODAY = date(2026, 11, 21)
ALL = catalogue(frozenset({"openai", "anthropic", "replicate", "fal", "xai", "stability", "local"}))
BILLED = [model for model in ALL.data.models if "margin_percent" in model.credits]

# Parameters by which no provider bills.
FREE_OF_CHARGE = frozenset(
    {
        *("seed", "format", "output_format", "background", "style", "voice", "temperature", "top_p", "aspect_ratio"),
        *("motion", "still", "reasoning_effort", "verbosity"),
        # It only ends the text sooner.
        "stop",
        # A higher frame rate is not billed as more frames.
        "frames_per_second",
    }
)
# A flat price covers every value of these.
FLAT = {("stability/stable-audio-2.5", "duration_seconds")}
# Texts that are billed by their tokens.
WORDS = frozenset({"system", "messages", "instructions"})


def cost(model: Model, parameters: dict[str, Any], prompt: str = "A fox.", facts: InputFacts = NO_FACTS) -> int:
    files = {role: rule["minimum"] for role, rule in model.inputs.items()}
    whole, *_ = ALL.offers(
        model.kind, model.id, parameters, today=min(TODAY, model.sunset_at or TODAY), seed=1, prompt=prompt,
        files=files, facts=facts,
    )  # fmt: skip
    return ALL.price(model.id, whole, prompt=prompt, files=files, facts=facts).cost_microusd


def deciders() -> list[tuple[Model, str]]:
    return [
        (model, name)
        for model in BILLED
        for name in model.parameters
        if name not in FREE_OF_CHARGE and (model.id, name) not in FLAT
    ]


@pytest.mark.parametrize("model", [model for model in BILLED if model.kind in ("image", "video")], ids=lambda m: m.id)
def test_a_negative_prompt_raises_the_price_where_tokens_are_billed(model: Model) -> None:
    plain, more = (cost(model, {}, facts=InputFacts(negative_prompt=text)) for text in ("", "fog, rain " * 400))
    assert (more > plain) == any(each["unit"] == "token" for each in model.cost)


@pytest.mark.parametrize(("model", "name"), deciders(), ids=[f"{model.id} {name}" for model, name in deciders()])
def test_a_parameter_that_changes_the_bill_changes_the_price(model: Model, name: str) -> None:
    rule = model.parameters[name]
    if name == "speed" and any(cost["unit"] == "character" for cost in model.cost):
        return  # Billed by the text, at any speed.
    values: list[Any]
    if name == "messages":
        values = [[{"role": "user", "content": "x" * length}] for length in (1, 30_000)]
    elif name in WORDS:
        values = ["x", "x" * 4000]
    elif "minimum" in rule:
        values = [rule["minimum"], rule["maximum"]]
    elif "least" in rule:
        values = [rule["most"], rule["least"]]
    else:
        assert "choices" in rule, f"{model.id}: is {name} billed?"
        values = list(rule["choices"])
    prices = {cost(model, {name: value} | _beside(model, name, value)) for value in values}
    assert len(prices) > 1, f"{model.id} costs the same with every {name}"


def _beside(model: Model, name: str, value: Any) -> dict[str, Any]:
    """The other side of an image, where the one side alone would be an invalid shape."""
    other = {"width": "height", "height": "width"}.get(name)
    return {other: min(value, 1024)} if other else {}


@pytest.mark.parametrize("model", BILLED, ids=lambda model: model.id)
def test_each_further_file_that_is_billed_is_priced(model: Model) -> None:
    for role, rule in model.inputs.items():
        few, many = ({role: number} for number in (rule["minimum"], rule["maximum"]))
        if few == many or model.id in UNBILLED_FILES:
            continue
        prices = [ALL.price(model.id, _defaults(model), files=files).cost_microusd for files in (few, many)]
        assert prices[0] < prices[1], f"{model.id}: {role}"


# These models' prices are the same with and without input files.
UNBILLED_FILES = {"stability/ultra", "fal/flux-kontext-multi"}


def _defaults(model: Model) -> dict[str, Any]:
    return ALL.parameters_for(model.id, {})


# ---- the length of the input audio -----------------------------------------------------------------------------------


def test_an_avatars_price_depends_on_its_audio_length() -> None:
    model = ALL.model("replicate/sadtalker")
    five, minute, longest = (cost(model, {}, facts=InputFacts(audio_milliseconds=ms)) for ms in (5000, 60_000, 280_000))
    assert (five, minute, longest) == (975 * 30, 975 * 195, 975 * 855)
    # For audio of unknown length the longest is held; the settlement uses the run time.
    assert cost(model, {}) == longest
    files, facts = {"image": 1, "audio": 1}, InputFacts(audio_milliseconds=60_000)
    end = ALL.settle(
        model.id, {}, "succeeded", files=files, facts=facts, delivered=1, usage={"predict_milliseconds": 100_000}
    )
    assert end.cost_microusd == 97_500
    assert end.credits < ALL.price(model.id, {}, files=files, facts=facts).credits


def test_audio_too_long_for_an_avatar_is_refused_with_the_limit() -> None:
    for model, seconds, files in (
        ("replicate/sadtalker", 280, {"image": 1, "audio": 1}),
        ("local/talker", 75, {"audio": 1}),
    ):
        facts = InputFacts(audio_milliseconds=1_500_000)
        with pytest.raises(ValidationFailed) as refused:
            ALL.offers("avatar", model, {}, today=TODAY, seed=1, files=files, facts=facts)
        assert refused.value.facts["fields"] == [
            {"path": "inputs.audio", "message": f"{model} takes no more than {seconds} seconds"}
        ]


def test_a_pending_speech_is_priced_by_its_estimated_length() -> None:
    facts = InputFacts(audio_milliseconds=spoken_milliseconds("A lamp. " * 20), pending=frozenset({"audio"}))
    model = ALL.model("replicate/sadtalker")
    assert 975 * 30 < cost(model, {}, facts=facts) < 975 * 70
    endless = InputFacts(audio_milliseconds=10**9, pending=frozenset({"audio"}))
    assert cost(model, {}, facts=endless) == cost(model, {})


# ---- the length of a speech ------------------------------------------------------------------------------------------

SPEECH = "openai/gpt-4o-mini-tts"
# The same sentence, and its duration in milliseconds when a slow voice speaks it.
SPOKEN = {
    "english": ("The lamp of the lighthouse is lit at dusk and burns until the morning.", 4600),
    "chinese": ("灯塔的灯在黄昏时点亮，一直燃烧到第二天早晨。", 5600),
    "japanese": ("灯台の明かりは夕暮れにともり、朝まで燃えつづけます。", 5400),
    "korean": ("등대의 불은 해 질 녘에 켜져 아침까지 타오릅니다.", 4900),
    "arabic": ("يضاء مصباح المنارة عند الغسق ويظل مشتعلا حتى الصباح.", 5000),
    "hindi": ("प्रकाशस्तंभ का दीपक शाम को जलाया जाता है और सुबह तक जलता है।", 5200),
    "thai": ("โคมไฟของประภาคารจุดตอนพลบค่ำและส่องสว่างจนถึงเช้า", 5000),
    "russian": ("Лампа маяка зажигается в сумерках и горит до самого утра.", 4500),
    "numbers": ("In 1873 the tower had 2,417 steps and cost 98,305 pounds.", 8000),
}


@pytest.mark.parametrize("script", SPOKEN)
def test_a_speechs_hold_covers_its_length_in_every_script(script: str) -> None:
    text, lasted = SPOKEN[script]
    held = ALL.price(SPEECH, {"voice": "alloy"}, prompt=text).cost_microusd
    assert lasted <= spoken_milliseconds(text) <= 3 * lasted
    assert held >= lasted * 21 * 12 // 1000


def test_chinese_speech_costs_more_than_as_many_english_characters() -> None:
    chinese, english = "灯" * 1000, "lamp " * 200
    assert ALL.price(SPEECH, {}, prompt=chinese).credits > 3 * ALL.price(SPEECH, {}, prompt=english).credits
    ends = [
        ALL.settle(SPEECH, {}, "succeeded", prompt=text, delivered=1, usage={"output_milliseconds": lasting})
        for text, lasting in ((chinese, 240_000), (english, 66_000))
    ]
    assert [(end.credits, end.cost_source) for end in ends] == [(8, "usage"), (3, "usage")]


def test_a_speech_is_never_charged_more_than_its_hold() -> None:
    held = ALL.price(SPEECH, {}, prompt="Hello.")
    end = ALL.settle(SPEECH, {}, "succeeded", prompt="Hello.", delivered=1, usage={"output_milliseconds": 3_600_000})
    assert (end.credits, end.cost_microusd > held.cost_microusd) == (held.credits, True)


def test_reported_tokens_take_precedence_over_the_measured_length() -> None:
    usage = {"output_milliseconds": 60_000, "tokens_input": 10, "tokens_output": 1000}
    end = ALL.settle(SPEECH, {}, "succeeded", prompt="x" * 1000, delivered=1, usage=usage)
    assert end.cost_microusd == 12_006
