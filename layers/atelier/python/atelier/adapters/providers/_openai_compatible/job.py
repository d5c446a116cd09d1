"""What every request takes from a job: preset fields, its prompt, and its files."""

from __future__ import annotations

import base64
from typing import cast

from atelier.adapters.providers._openai_compatible.values import JsonObject
from atelier.provider_port import Input, Job


def preset_fields(job: Job) -> JsonObject:
    """The catalogue's fields for each request of this model; the job's parameters override them."""
    return cast("JsonObject", job.settings.get("input") or {})


def data_url(file: Input) -> str:
    """The file as a data URL, for JSON APIs that take files in no other way."""
    return f"data:{file.content_type};base64,{base64.b64encode(file.data).decode()}"


def prompt_with_exclusions(job: Job) -> str:
    """The prompt with the negative prompt appended, for models without a field for the latter."""
    return f"{job.prompt}\n\nWithout: {job.negative_prompt}" if job.negative_prompt else job.prompt


def images_of(job: Job) -> tuple[Input, ...]:
    """The job's input images: the image to edit first, then the reference images."""
    return (*job.inputs.get("image", ()), *job.inputs.get("reference", ()))
