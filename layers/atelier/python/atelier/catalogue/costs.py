"""What a provider bills the operator: unit prices, the estimated cost of a workload, and the cost of reported usage.

A bill is the sum of its units, added up exactly in parts of a micro-USD and rounded up once. A *megapixel* here is
1024 × 1024 = 1 048 576 pixels, so that an image of the usual square size costs exactly its listed price. The prices are
plain data in the form of the catalogue: typed for the reader and checked when the catalogue is compiled, so loading
them costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Literal, NotRequired, final

from annotated_types import Ge, Gt
from typing_extensions import TypedDict

from atelier.catalogue.parameters import Parameters, iter_texts
from atelier.catalogue.speech_duration import spoken_milliseconds
from atelier.dataclass import dataclass

MEGAPIXEL = 1024 * 1024
MILLION = 10**6
# A reported count or bill of this size or more is not believed.
REPORTED_MAX = 10**12
# Costs are added up in these parts of a micro-USD: every unit's price is a whole number of them.
MICROUSD_PARTS = MEGAPIXEL * MILLION
# The upper estimate of a prompt in tokens, plus a constant for what surrounds it. Weights are thirds of a token for
# each byte that starts a character: a byte of ASCII prose is a third; a digit, or a letter of two bytes, is a whole
# token; a character of three bytes (Chinese, Japanese, Thai …) may take two tokens, one of four bytes four.
TOKENS_OVERHEAD = 64
TOKEN_THIRDS = {
    **dict.fromkeys(range(0x80), 1),
    **dict.fromkeys(b"0123456789", 3),
    **dict.fromkeys(range(0xC0, 0xE0), 3),
    **dict.fromkeys(range(0xE0, 0xF0), 6),
    **dict.fromkeys(range(0xF0, 0x100), 12),
}

BYTES_OF_OTHER_WEIGHTS = {
    weight: bytes(byte for byte in range(0x100) if TOKEN_THIRDS.get(byte) != weight) for weight in (1, 3, 6, 12)
}

Count = Annotated[int, Ge(0)]
Positive = Annotated[int, Gt(0)]
Role = Literal["image", "mask", "audio", "reference"]
Files = Mapping[str, int]
Usage = Mapping[str, int]
NO_FILES: Files = {}


@dataclass(frozen=True, slots=True)
class Workload:
    """The work that a price depends on: complete parameters, the prompt, the number of input files by role, and the
    length of the audio among them. pixels_most: the most pixels of an image whose size is not known yet.
    negative_prompt: empty where the model is not sent it."""

    parameters: Parameters
    prompt: str = ""
    files: Files = field(default_factory=lambda: NO_FILES)
    audio_milliseconds: int = 0
    pixels_most: int = 0
    negative_prompt: str = ""

    @property
    def images(self) -> int:
        """The number of requested images."""
        return self.parameters.get("n", 1)

    @property
    def pixels(self) -> int:
        """The pixels of one image."""
        if "width" not in self.parameters and self.pixels_most:
            return self.pixels_most
        return self.parameters["width"] * self.parameters["height"]

    @property
    def input_tokens(self) -> int:
        """An upper estimate, in tokens, of all text that the model is sent: the messages of a conversation, or else the
        prompt, and every text in the parameters."""
        prompt = "" if self.parameters.get("messages") else self.prompt
        said = (prompt, self.negative_prompt, *iter_texts(self.parameters))
        return TOKENS_OVERHEAD + -(-sum(map(_thirds_of_tokens, said)) // 3)

    @property
    def spoken_milliseconds(self) -> int:
        """An upper estimate of how long the prompt lasts when it is spoken."""
        return spoken_milliseconds(self.prompt, self.parameters.get("speed"))


@final
class TokenCost(TypedDict):
    """Micro-USD for a million tokens. Input tokens without a price of their own (cached, cache_write, image_input) cost
    as `input`.

    Output tokens are bounded by the parameter `max_tokens`, or estimated: `output_per_megapixel` of an image, by the
    parameter `quality`, or `output_per_second` of audio, whose length is estimated first and measured in the end.
    `tokens_each_file`: the estimated tokens of an input file."""

    unit: Literal["token"]
    input: Count
    output: Count
    cached: NotRequired[Count]
    cache_write: NotRequired[Count]
    image_input: NotRequired[Count]
    output_per_megapixel: NotRequired[dict[str, Positive]]
    output_per_second: NotRequired[Positive]
    tokens_each_file: NotRequired[Positive]


@final
class ImageCost(TypedDict):
    """Micro-USD for an image: one price, or a table `by` parameters, whose keys are their values joined by spaces."""

    unit: Literal["image"]
    microusd: Count | dict[str, Count]
    by: NotRequired[list[str]]


@final
class MegapixelCost(TypedDict):
    """Micro-USD for a megapixel of an image."""

    unit: Literal["megapixel"]
    microusd: Count


@final
class SecondCost(TypedDict):
    """Micro-USD for a second of video or audio, as requested by `duration_seconds`; a table as in ImageCost."""

    unit: Literal["second"]
    microusd: Count | dict[str, Count]
    by: NotRequired[list[str]]


@final
class PredictionSecondCost(TypedDict):
    """Micro-USD for a second of running. `seconds_estimate`: the estimated seconds for a call, an image or a megapixel
    of it (`per`), or a table as in ImageCost. `seconds_each_audio_second` is added for each second of input audio."""

    unit: Literal["prediction_second"]
    microusd: Count
    seconds_estimate: Positive | dict[str, Positive]
    per: Literal["call", "image", "megapixel"]
    by: NotRequired[list[str]]
    seconds_each_audio_second: NotRequired[Positive]


@final
class CharacterCost(TypedDict):
    """Micro-USD for a million characters of the prompt."""

    unit: Literal["character"]
    microusd_per_million: Count


@final
class FileCost(TypedDict):
    """Micro-USD for every input file of a role, beside another unit."""

    unit: Literal["file"]
    role: Role
    microusd: Count


@final
class CallCost(TypedDict):
    """Micro-USD for a call, whatever it requests."""

    unit: Literal["call"]
    microusd: Count


Cost = TokenCost | ImageCost | MegapixelCost | SecondCost | PredictionSecondCost | CharacterCost | FileCost | CallCost


def estimate_cost(costs: tuple[Cost, ...], workload: Workload) -> int:
    """The estimated cost of a workload in micro-USD: an upper bound as far as one is known."""
    return _round_up(sum(_estimate(cost, workload) for cost in costs))


def measure_cost(costs: tuple[Cost, ...], usage: Usage, workload: Workload) -> int | None:
    """The cost of the reported usage in micro-USD; None when a unit of the price is missing in the usage. Prices for a
    file or a call need no usage, so they alone do not make a bill a measured one."""
    if not all(0 <= count < REPORTED_MAX for count in usage.values()):
        return None
    parts = [_measure(cost, usage, workload) for cost in costs]
    known = [part for part in parts if part is not None]
    counted = any(cost["unit"] not in ("file", "call") for cost in costs)
    return _round_up(sum(known)) if counted and len(known) == len(parts) else None


def proportion(amount: int, part: int, whole: int) -> int:
    """amount × part ÷ whole, rounded up: a fraction of a credit, or of a micro-USD, counts as a whole one."""
    return -(-amount * part // whole)


def _estimate(cost: Cost, workload: Workload) -> int:
    match cost["unit"]:
        case "token":
            file_price = cost.get("image_input", cost["input"])
            files = sum(workload.files.values()) * cost.get("tokens_each_file", 0)
            text = workload.input_tokens * max(cost["input"], cost.get("cache_write", 0))
            return (text + files * file_price + _output_tokens(cost, workload) * cost["output"]) * (
                MICROUSD_PARTS // MILLION
            )
        case "image":
            return _look_up(cost["microusd"], cost, workload) * workload.images * MICROUSD_PARTS
        case "megapixel":
            return cost["microusd"] * workload.pixels * workload.images * (MICROUSD_PARTS // MEGAPIXEL)
        case "second":
            return _look_up(cost["microusd"], cost, workload) * workload.parameters["duration_seconds"] * MICROUSD_PARTS
        case "prediction_second":
            runs = 1 if cost["per"] == "call" else workload.images
            pixels = workload.pixels if cost["per"] == "megapixel" else MEGAPIXEL
            seconds = _look_up(cost["seconds_estimate"], cost, workload)
            listening = (
                cost.get("seconds_each_audio_second", 0) * workload.audio_milliseconds * (MICROUSD_PARTS // 1000)
            )
            return cost["microusd"] * (seconds * runs * pixels * (MICROUSD_PARTS // MEGAPIXEL) + listening)
        case "character":
            return cost["microusd_per_million"] * len(workload.prompt) * (MICROUSD_PARTS // MILLION)
        case "file" | "call":
            return _fixed_cost(cost, workload)


def _fixed_cost(cost: FileCost | CallCost, workload: Workload) -> int:
    return cost["microusd"] * (workload.files.get(cost["role"], 0) if cost["unit"] == "file" else 1) * MICROUSD_PARTS


def _measure(cost: Cost, usage: Usage, workload: Workload) -> int | None:
    match cost["unit"]:
        case "token" if {"tokens_input", "tokens_output"} <= usage.keys():
            return _token_cost(cost, usage) * (MICROUSD_PARTS // MILLION)
        case "token" if "output_per_second" in cost and "output_milliseconds" in usage:
            # A provider sends raw audio without a token count; its length was measured.
            tokens = proportion(cost["output_per_second"], usage["output_milliseconds"], 1000)
            counted = {"tokens_input": workload.input_tokens, **usage, "tokens_output": tokens}
            return _token_cost(cost, counted) * (MICROUSD_PARTS // MILLION)
        case "image" if "images" in usage:
            return _look_up(cost["microusd"], cost, workload) * usage["images"] * MICROUSD_PARTS
        case "megapixel" if "images" in usage:
            return cost["microusd"] * workload.pixels * usage["images"] * (MICROUSD_PARTS // MEGAPIXEL)
        case "second" if "output_milliseconds" in usage:
            return _look_up(cost["microusd"], cost, workload) * usage["output_milliseconds"] * (MICROUSD_PARTS // 1000)
        case "prediction_second" if "predict_milliseconds" in usage:
            return cost["microusd"] * usage["predict_milliseconds"] * (MICROUSD_PARTS // 1000)
        case "character" if "characters" in usage:
            return cost["microusd_per_million"] * usage["characters"] * (MICROUSD_PARTS // MILLION)
        case "file" | "call":
            return _fixed_cost(cost, workload)
        case _:
            return None


def _token_cost(cost: TokenCost, usage: Usage) -> int:
    """Tokens × their prices for a million. Tokens with a price of their own are a part of the input tokens."""
    own = (
        ("tokens_cached", cost.get("cached")),
        ("tokens_cache_write", cost.get("cache_write")),
        ("tokens_image", cost.get("image_input")),
    )
    rest, priced = usage["tokens_input"], usage["tokens_output"] * cost["output"]
    for name, price in own:
        if price is not None:
            tokens = min(usage.get(name, 0), rest)
            rest -= tokens
            priced += tokens * price
    return priced + rest * cost["input"]


def _output_tokens(cost: TokenCost, workload: Workload) -> int:
    if "output_per_megapixel" in cost:
        table = cost["output_per_megapixel"]
        each = table.get(workload.parameters["quality"], max(table.values()))
        return proportion(each, workload.pixels, MEGAPIXEL) * workload.images
    if "output_per_second" in cost:
        return proportion(cost["output_per_second"], workload.spoken_milliseconds, 1000)
    return workload.parameters["max_tokens"]


def _look_up(
    table: int | dict[str, int], cost: ImageCost | SecondCost | PredictionSecondCost, workload: Workload
) -> int:
    if isinstance(table, int):
        return table
    # A choice that the catalogue no longer has costs as much as the dearest.
    return table.get(" ".join(workload.parameters[name] for name in cost.get("by", [])), max(table.values()))


def _thirds_of_tokens(text: str) -> int:
    data = text.encode(errors="replace")
    # Counted by kind of byte, because a loop over the hundreds of thousands in a conversation would be slow.
    thirds = len(data.translate(None, BYTES_OF_OTHER_WEIGHTS[1]))
    return thirds + sum(weight * len(data.translate(None, BYTES_OF_OTHER_WEIGHTS[weight])) for weight in (3, 6, 12))


def _round_up(parts: int) -> int:
    return -(-parts // MICROUSD_PARTS)
