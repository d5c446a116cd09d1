"""Runs, composed: what the next stage of one needs."""

from __future__ import annotations

from atelier.generations.run import Planning
from atelier.wiring.generations import store, text


def planning() -> Planning:
    """What it takes to plan a stage."""
    return Planning(store(), text)
