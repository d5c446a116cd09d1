"""Runs, composed."""

from __future__ import annotations

from atelier.generations.model import Failure, Generation
from atelier.generations.moderation_texts import prompt_failure
from atelier.generations.pipeline_run import PlanStageDeps
from atelier.wiring import moderation
from atelier.wiring.generations import read_text, store


def plan_stage_deps() -> PlanStageDeps:
    """The dependencies of planning a stage."""
    return PlanStageDeps(store(), read_text, _prompt_failure)


def _prompt_failure(_run: Generation, prompt: str) -> Failure | None:
    return prompt_failure(prompt, moderation.prompt_check())
