"""The models of Replicate's simulator: what their input must be, and their result files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.simulators.kit.samples import sample_png, sample_video

BODY_FIELDS = frozenset({"version", "input", "webhook", "webhook_events_filter", "stream"})
EVENTS = frozenset({"start", "output", "logs", "completed"})
DATA_URL_BYTES_MAX = 256 * 1024
# Marker of a run → the model's error.
RUN_ERRORS = {
    "fail": "RuntimeError: the model fell over",
    "unfit": "ValueError: cannot identify image file '/tmp/in.png'",
    "nsfw": "NSFW content detected. Try running it again, or try a different prompt.",
    "oom": "CUDA out of memory. Tried to allocate 2.00 GiB",
}


@dataclass(frozen=True)
class ModelKind:
    """A model. `files`: the input fields that hold files; `required`: those of them that must be given.
    `makes_video`: whether it outputs a video. `trigger`: a word that the prompt must contain."""

    name: str
    files: tuple[str, ...]
    required: tuple[str, ...]
    makes_video: bool
    trigger: str | None = None


SDXL = ModelKind("stability-ai/sdxl", ("image", "mask"), (), makes_video=False)
# Models other than SDXL, by the version that the catalogue names.
MODELS = {
    "ddfc2b08d209f9fa8c1eca692712918bd449f695dabb4a958da31802a9570fe4": ModelKind(
        "tencentarc/photomaker",
        ("input_image", "input_image2", "input_image3", "input_image4"),
        ("input_image",),
        makes_video=False,
        trigger="img",
    ),
    "3f0457e4619daac51203dedb472816fd4af51f3149fa7a9e0b5ffcf1b8172438": ModelKind(
        "stability-ai/stable-video-diffusion", ("input_image",), ("input_image",), makes_video=True
    ),
    "3aa3dac9353cc4d6bd62a8f95957bd844003b401ca4e4a9b33baa574c549d376": ModelKind(
        "cjwbw/sadtalker", ("source_image", "driven_audio"), ("source_image", "driven_audio"), makes_video=True
    ),
}


def model_of(version: str) -> ModelKind:
    """The model with this version; SDXL for an unknown one."""
    return MODELS.get(version, SDXL)


def result_file(model: ModelKind, model_input: dict[str, Any], number: int) -> bytes:
    """The file with this number of a model's output."""
    seed = int(model_input.get("seed") or 0) + number
    if not model.makes_video:
        return sample_png(int(model_input.get("width", 1024)), int(model_input.get("height", 1024)), seed)
    frames = 25 if str(model_input.get("video_length")).startswith("25") else 14
    return sample_video(256, 256, frames / int(model_input.get("frames_per_second") or 7), seed)


def model_error(
    model: ModelKind, model_input: dict[str, Any], run: list[str], is_missing: Callable[[str], bool]
) -> str | None:
    """The error with which a model ends: the one that the `run:` markers ask for, else one about its input; None when
    it succeeds. is_missing: whether a URL leads to no file."""
    error = next((RUN_ERRORS[name] for name in run if name in RUN_ERRORS), None)
    if error:
        return error
    if model.trigger and not re.search(rf"\b{model.trigger}\b", str(model_input.get("prompt"))):
        return f"Cannot find the trigger word '{model.trigger}' in text prompt!"
    missing = next((name for name in model.files if is_missing(str(model_input.get(name) or ""))), None)
    return f"The file of {missing} could not be found." if missing else None


def validation_errors(body: Any) -> list[tuple[str, str]]:
    """The API's validation errors for a creation, as (field, reason)."""
    if not isinstance(body, dict):
        return [("", "an object is needed")]
    problems = [(name, "Additional property is not allowed") for name in body if name not in BODY_FIELDS]
    problems += [(name, f"{name} is required") for name in ("version", "input") if name not in body]

    model_input = body.get("input")
    if not isinstance(model_input, dict):
        return [*problems, ("input", "must be an object")]
    if not isinstance(body.get("version", ""), str):
        problems.append(("version", "must be a string"))
    webhook = body.get("webhook")
    if webhook is not None and not re.match(r"https://|http://(127\.0\.0\.1|localhost)[:/]", str(webhook)):
        problems.append(("webhook", "must be an HTTPS URL"))
    if not set(body.get("webhook_events_filter") or []) <= EVENTS:
        problems.append(("webhook_events_filter", "must hold start, output, logs or completed"))

    model = model_of(str(body.get("version")).rpartition(":")[2])
    problems += [(f"input.{name}", f"{name} is required") for name in model.required if not model_input.get(name)]
    for name in model.files:
        url = model_input.get(name)
        if url is not None and not re.match(r"data:[\w.+-]+/[\w.+-]+;base64,|https://|http://127\.0\.0\.1:", str(url)):
            problems.append((f"input.{name}", "Does not match format 'uri'"))
        elif str(url).startswith("data:") and len(str(url)) > DATA_URL_BYTES_MAX:
            problems.append((f"input.{name}", "a data URL may have 256 kB; upload larger files"))

    integers = {"width": (64, 4096), "height": (64, 4096), "num_outputs": (1, 4), "num_inference_steps": (1, 500)}
    for name, (least, most) in integers.items():
        value = model_input.get(name, least)
        if not isinstance(value, int) or not least <= value <= most:
            problems.append((f"input.{name}", f"must be an integer between {least} and {most}"))
    if not isinstance(model_input.get("prompt", ""), str):
        problems.append(("input.prompt", "must be a string"))
    return problems
