"""Pipelines as data: their stages and which stage's result each one takes. And how a request becomes stages. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import field, replace
from typing import Any

from atelier.dataclass import dataclass
from atelier.errors import ValidationFailed
from atelier.generations.model import InputAssets, Kind, Pipeline, Recipe, Stage

ENHANCE_STAGE = "enhance"
# Kinds whose prompt may be enhanced. A spoken text stays as its author wrote it, and an upscale has no prompt.
ENHANCEABLE_KINDS = (Kind.TEXT, Kind.IMAGE, Kind.VIDEO, Kind.PAGE)
# A reasoning model spends a part of these tokens before it writes.
ENHANCE_TOKENS_MAX = 1024
# The length of an enhanced prompt: at least, more than the original, at most. It is priced at this length before it is
# written, and cut to it afterwards.
ROOM_BYTES_MIN, ROOM_BYTES_MORE, ROOM_BYTES_MAX = 1000, 600, 8000
# The embedded text model appends this mark to its texts. A prompt is used without it.
TEXT_MARK = "(procedural)"
INSTRUCTION = (
    "Rewrite the prompt that follows, for a generator of the kind “{kind}”. Keep its subject, its meaning and its"
    " language; add what helps to make it well: light, material, composition, mood, detail.{style} Answer with the new"
    " prompt alone: one paragraph, at most 120 words, no quotation marks, no explanation."
)


@dataclass(frozen=True, slots=True)
class PipelineStep:
    """One stage in the definition of a pipeline. starts_from: by file role, the step whose file it takes as input.
    takes: the parameters that go to this step when a plain request becomes a run."""

    name: str
    kind: Kind
    starts_from: Mapping[str, str] = field(default_factory=dict[str, str])
    own_parameters: frozenset[str] = frozenset()


PIPELINES: Mapping[str, tuple[PipelineStep, ...]] = {
    "talking_avatar": (
        PipelineStep("speech", Kind.AUDIO, own_parameters=frozenset({"voice", "speed"})),
        PipelineStep("avatar", Kind.AVATAR, {"audio": "speech"}),
    ),
    "image_to_video": (
        PipelineStep("image", Kind.IMAGE, own_parameters=frozenset({"width", "height", "size"})),
        PipelineStep("video", Kind.VIDEO, {"image": "image"}),
    ),
    "enhanced_upscale": (
        PipelineStep(ENHANCE_STAGE, Kind.TEXT),
        PipelineStep("image", Kind.IMAGE),
        PipelineStep("upscale", Kind.UPSCALE, {"image": "image"}),
    ),
}
# The kind of a plain request and the path of the input file it lacks -> the pipeline that makes that file first.
PIPELINES_FOR_MISSING_INPUT = {
    (Kind.AVATAR, "inputs.audio"): "talking_avatar",
    (Kind.VIDEO, "inputs.image"): "image_to_video",
}


@dataclass(frozen=True, slots=True)
class StageOptions:
    """The options of one stage, as a request gives them."""

    model: str = "auto"
    parameters: dict[str, Any] = field(default_factory=dict[str, Any])
    inputs: InputAssets = field(default_factory=InputAssets)


def build_pipeline(
    name: str, options: Mapping[str, StageOptions], negative_prompt: str | None, *, enhance: bool = False
) -> Pipeline:
    """The pipeline of this name, with the requested options of its stages. Raises ValidationFailed for options of a
    stage that it does not have, and for a spoken prompt that is to be enhanced."""
    steps = PIPELINES[name]
    if unknown := options.keys() - {step.name for step in steps} - ({ENHANCE_STAGE} if enhance else set()):
        errors = [{"path": f"stages.{each}", "message": f"{name} has no such stage."} for each in sorted(unknown)]
        raise ValidationFailed(errors)
    stages = tuple(
        Stage(
            step.name,
            step.kind,
            options.get(step.name, StageOptions()).model,
            options.get(step.name, StageOptions()).parameters,
            negative_prompt if step.kind in (Kind.IMAGE, Kind.VIDEO) else None,
            options.get(step.name, StageOptions()).inputs,
            starts_from=dict(step.starts_from),
        )
        for step in steps
        if step.name != ENHANCE_STAGE
    )
    if enhance or any(step.name == ENHANCE_STAGE for step in steps):
        stages = with_enhance_stage(stages, options.get(ENHANCE_STAGE, StageOptions()))
    return Pipeline(name, stages)


def with_enhance_stage(stages: tuple[Stage, ...], options: StageOptions | None = None) -> tuple[Stage, ...]:
    """The stages, after a new first stage that rewrites their prompt. Raises ValidationFailed for a spoken prompt."""
    spoken = next((stage for stage in stages if stage.kind in (Kind.AUDIO, Kind.AVATAR)), None)
    if spoken is not None or all(stage.kind not in ENHANCEABLE_KINDS for stage in stages):
        raise ValidationFailed([{"path": "enhance_prompt", "message": "What is said is left as it is written."}])
    options = options or StageOptions()
    # The prompt is written for the first stage that is made from the prompt, not from a file.
    kind = next(stage.kind for stage in stages if stage.kind in ENHANCEABLE_KINDS)
    parameters = {**enhance_parameters(kind), **options.parameters}
    first = Stage(ENHANCE_STAGE, Kind.TEXT, options.model, parameters, inputs=options.inputs)
    return (first, *(replace(stage, says=ENHANCE_STAGE) for stage in stages))


def enhance_parameters(kind: str, style: str | None = None) -> dict[str, Any]:
    """The parameters of the text model that rewrites a prompt."""
    style_hint = f" The style wanted: {style}." if style else ""
    return {"system": INSTRUCTION.format(kind=kind, style=style_hint), "max_tokens": ENHANCE_TOKENS_MAX}


def enhanced_pipeline(recipe: Recipe) -> Pipeline:
    """A plain request whose prompt is to be enhanced, as a run."""
    stage = Stage(
        recipe.kind.value, recipe.kind, recipe.model, recipe.parameters, recipe.negative_prompt, recipe.inputs
    )
    return Pipeline("enhanced", with_enhance_stage((stage,)))


def implied_pipeline(recipe: Recipe, error_paths: Collection[str], *, enhance: bool) -> Pipeline | None:
    """A plain request as a run, when it only lacks a file that an earlier stage can make; None otherwise. refused: the
    paths of the request's validation errors."""
    name = next(
        (
            PIPELINES_FOR_MISSING_INPUT[recipe.kind, path]
            for path in error_paths
            if (recipe.kind, path) in PIPELINES_FOR_MISSING_INPUT
        ),
        None,
    )
    if name is None:
        return None
    first, last = PIPELINES[name]
    parameters = {each: value for each, value in recipe.parameters.items() if each not in first.own_parameters}
    options = {
        first.name: StageOptions(
            parameters={each: recipe.parameters[each] for each in first.own_parameters & recipe.parameters.keys()}
        ),
        last.name: StageOptions(recipe.model, parameters, recipe.inputs),
    }
    return build_pipeline(name, options, recipe.negative_prompt, enhance=enhance)


def enhanced_prompt_bytes_max(prompt: str) -> int:
    """The longest that the enhanced form of a prompt may be, in bytes of UTF-8."""
    return min(max(ROOM_BYTES_MIN, len(prompt.encode()) + ROOM_BYTES_MORE), ROOM_BYTES_MAX)


def longest_prompt(prompt: str) -> str:
    """A placeholder for the enhanced prompt, to price it before it is written: no enhanced prompt is longer. For an
    ASCII prompt it is letters; otherwise digits, because in other scripts each byte may be a token, as each digit
    is."""
    return ("x" if prompt.isascii() else "0") * enhanced_prompt_bytes_max(prompt)


def rewritten_prompt(prompt: str, text: str) -> str:
    """The prompt in a model's text, without the quotation marks and labels that models put around it; the original
    prompt when the model wrote none."""
    words = text.strip().removesuffix(TEXT_MARK).strip().strip("`").strip()
    words = re.sub(r"^(?:\w+ ){0,2}prompt:\s*", "", words, flags=re.IGNORECASE)
    words = " ".join(words.split()).strip("\"“”'")
    return _cut_to_bytes(words, enhanced_prompt_bytes_max(prompt)) or _cut_to_bytes(
        prompt, enhanced_prompt_bytes_max(prompt)
    )


def _cut_to_bytes(words: str, bytes_max: int) -> str:
    if len(words.encode()) <= bytes_max:
        return words
    cut = words.encode()[:bytes_max].decode(errors="ignore")
    return cut.rpartition(" ")[0] or cut
