"""Pipelines: what is made from what, in which order. Data, and what it takes to make a request into stages. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import field, replace
from typing import Any

from atelier.errors import ValidationFailed
from atelier.frozen import dataclass
from atelier.generations.model import Kind, Pipeline, Recipe, Sources, Stage

ENHANCE = "enhance"
# What is heard is left as its author wrote it, and an upscale has nothing to say.
ENHANCED = (Kind.TEXT, Kind.IMAGE, Kind.VIDEO, Kind.PAGE)
# A model that thinks first takes some of these for itself.
ENHANCE_TOKENS_MAX = 1024
# What an enhanced prompt has room for: it is priced at this length before it is known, and cut to it.
ROOM_BYTES_MIN, ROOM_BYTES_MORE, ROOM_BYTES_MAX = 1000, 600, 8000
# What the embedded writer marks its texts with. The text says so where it is kept; a prompt need not.
MARK = "(procedural)"
INSTRUCTION = (
    "Rewrite the prompt that follows, for a generator of the kind “{kind}”. Keep its subject, its meaning and its"
    " language; add what helps to make it well: light, material, composition, mood, detail.{style} Answer with the new"
    " prompt alone: one paragraph, at most 120 words, no quotation marks, no explanation."
)


@dataclass(frozen=True, slots=True)
class Step:
    """One stage as every run of its pipeline has it. starts_from: by role, the step whose file it starts from. takes:
    parameters of a plain request that are this step's, where the request became a run by itself."""

    name: str
    kind: Kind
    starts_from: Mapping[str, str] = field(default_factory=dict[str, str])
    takes: frozenset[str] = frozenset()


PIPELINES: Mapping[str, tuple[Step, ...]] = {
    "talking_avatar": (
        Step("speech", Kind.AUDIO, takes=frozenset({"voice", "speed"})),
        Step("avatar", Kind.AVATAR, {"audio": "speech"}),
    ),
    "image_to_video": (
        Step("image", Kind.IMAGE, takes=frozenset({"width", "height", "size"})),
        Step("video", Kind.VIDEO, {"image": "image"}),
    ),
    "enhanced_upscale": (
        Step(ENHANCE, Kind.TEXT),
        Step("image", Kind.IMAGE),
        Step("upscale", Kind.UPSCALE, {"image": "image"}),
    ),
}
# Which pipeline makes, for a plain request of a kind, the one file that its model cannot do without.
MISSING = {(Kind.AVATAR, "inputs.audio"): "talking_avatar", (Kind.VIDEO, "inputs.image"): "image_to_video"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of one stage."""

    model: str = "auto"
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    inputs: Sources = field(default_factory=Sources)


def assembled(name: str, asked: Mapping[str, Asked], negative_prompt: str | None, *, enhance: bool = False) -> Pipeline:
    """A pipeline by its name, with what is asked of its stages. Raises ValidationFailed for what it has no stage for,
    or for a prompt that is to be enhanced and heard."""
    steps = PIPELINES[name]
    if unknown := asked.keys() - {step.name for step in steps} - ({ENHANCE} if enhance else set()):
        wrong = [{"path": f"stages.{each}", "message": f"{name} has no such stage."} for each in sorted(unknown)]
        raise ValidationFailed(wrong)
    stages = tuple(
        Stage(
            step.name,
            step.kind,
            asked.get(step.name, Asked()).model,
            asked.get(step.name, Asked()).parameters,
            negative_prompt if step.kind in (Kind.IMAGE, Kind.VIDEO) else None,
            asked.get(step.name, Asked()).inputs,
            starts_from=dict(step.starts_from),
        )
        for step in steps
        if step.name != ENHANCE
    )
    if enhance or any(step.name == ENHANCE for step in steps):
        stages = enhanced(stages, asked.get(ENHANCE, Asked()))
    return Pipeline(name, stages)


def enhanced(stages: tuple[Stage, ...], asked: Asked | None = None) -> tuple[Stage, ...]:
    """The stages with one before them that rewrites their prompt. Raises ValidationFailed where it is to be heard."""
    heard = next((stage for stage in stages if stage.kind in (Kind.AUDIO, Kind.AVATAR)), None)
    if heard is not None or all(stage.kind not in ENHANCED for stage in stages):
        raise ValidationFailed([{"path": "enhance_prompt", "message": "What is said is left as it is written."}])
    asked = asked or Asked()
    # Of what is made from the words, not from a file.
    kind = next(stage.kind for stage in stages if stage.kind in ENHANCED)
    parameters = {**enhancing(kind), **asked.parameters}
    first = Stage(ENHANCE, Kind.TEXT, asked.model, parameters, inputs=asked.inputs)
    return (first, *(replace(stage, says=ENHANCE) for stage in stages))


def enhancing(kind: str, style: str | None = None) -> dict[str, Any]:
    """What a text model is told when it is to rewrite a prompt."""
    wanted = f" The style wanted: {style}." if style else ""
    return {"system": INSTRUCTION.format(kind=kind, style=wanted), "max_tokens": ENHANCE_TOKENS_MAX}


def with_enhancement(recipe: Recipe) -> Pipeline:
    """A plain request whose prompt is to be enhanced, as a run."""
    stage = Stage(
        recipe.kind.value, recipe.kind, recipe.model, recipe.parameters, recipe.negative_prompt, recipe.inputs
    )
    return Pipeline("enhanced", enhanced((stage,)))


def implied(recipe: Recipe, refused: Collection[str], *, enhance: bool) -> Pipeline | None:
    """A plain request as a run, where all that keeps it from being made directly is a file that an earlier stage can
    make. refused: the paths of what is wrong with it. None where that does not help."""
    name = next((MISSING[recipe.kind, path] for path in refused if (recipe.kind, path) in MISSING), None)
    if name is None:
        return None
    first, last = PIPELINES[name]
    parameters = {each: value for each, value in recipe.parameters.items() if each not in first.takes}
    asked = {
        first.name: Asked(
            parameters={each: recipe.parameters[each] for each in first.takes & recipe.parameters.keys()}
        ),
        last.name: Asked(recipe.model, parameters, recipe.inputs),
    }
    return assembled(name, asked, recipe.negative_prompt, enhance=enhance)


def room_bytes(prompt: str) -> int:
    """How long a prompt may get by being enhanced."""
    return min(max(ROOM_BYTES_MIN, len(prompt.encode()) + ROOM_BYTES_MORE), ROOM_BYTES_MAX)


def foreseen(prompt: str) -> str:
    """Stands for a prompt that is not written yet, where its length has a price: none is longer. In its language: where
    that is not Latin, each byte may be a token, as a digit is."""
    return ("x" if prompt.isascii() else "0") * room_bytes(prompt)


def rewritten(prompt: str, text: str) -> str:
    """The prompt that a model wrote, without what models put around it; the original one where it wrote none."""
    words = text.strip().removesuffix(MARK).strip().strip("`").strip()
    words = re.sub(r"^(?:\w+ ){0,2}prompt:\s*", "", words, flags=re.IGNORECASE)
    words = " ".join(words.split()).strip("\"“”'")
    return _cut(words, room_bytes(prompt)) or _cut(prompt, room_bytes(prompt))


def _cut(words: str, bytes_max: int) -> str:
    if len(words.encode()) <= bytes_max:
        return words
    cut = words.encode()[:bytes_max].decode(errors="ignore")
    return cut.rpartition(" ")[0] or cut
