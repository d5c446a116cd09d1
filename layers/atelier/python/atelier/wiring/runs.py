"""Runs, composed."""

from __future__ import annotations

from atelier.generations.model import Failure, Generation
from atelier.generations.moderate import refusal
from atelier.generations.run import Planning
from atelier.wiring import moderation
from atelier.wiring.generations import store, text


def planning() -> Planning:
    """The dependencies of planning a stage."""
    return Planning(store(), text, _prompt_failure)


def _prompt_failure(_run: Generation, prompt: str) -> Failure | None:
    return refusal(prompt, moderation.prompts())
