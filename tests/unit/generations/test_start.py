"""How long a model may run within an Express execution."""

from __future__ import annotations

from datetime import timedelta

import pytest

from atelier.generations.start import fits_express


@pytest.mark.parametrize(
    ("run_seconds", "elapsed_seconds", "fits"),
    [(210, 0, True), (211, 0, False), (10, 200, True), (10, 201, False), (0, 300, False)],
)
def test_a_model_fits_when_its_late_answer_and_the_end_come_within_five_minutes(
    run_seconds: int, elapsed_seconds: int, fits: bool
) -> None:
    assert fits_express(timedelta(seconds=run_seconds), timedelta(seconds=elapsed_seconds)) is fits
