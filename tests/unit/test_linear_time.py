"""No text from a user makes the product work longer than in proportion to the text's length."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tests import linear_time

# Built at run time from an escaped name or a route's own path: their parts cannot be repeated.
MADE_WHEN_RUN = {
    "layers/atelier/python/atelier/http/api.py": "self.expression",
    "layers/atelier/python/atelier/adapters/providers/fal.py": "requests",
    "layers/atelier/python/atelier/adapters/providers/replicate.py": "trigger",
}


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """The measure runs in its own process, because it counts CPU time and sets an alarm."""
    order = [sys.executable, "-m", "tests.linear_time"]
    ran = subprocess.run(order, cwd=linear_time.ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr[-4000:]
    return json.loads(ran.stdout)


def test_every_pattern_and_parser_runs_in_linear_time(seen: dict[str, Any]) -> None:
    assert seen["slow"] == {}
    assert seen["patterns"] > 100


def test_patterns_built_at_run_time_are_listed(seen: dict[str, Any]) -> None:
    known = dict(place.split(": ", 1) for place in seen["made"])
    assert known.keys() == MADE_WHEN_RUN.keys()
    assert [place for place, part in MADE_WHEN_RUN.items() if part not in known[place]] == []


def test_no_schema_replaces_pydantics_linear_regex_engine() -> None:
    """pydantic uses Rust's regex, which accepts only patterns that it can match in linear time."""
    assert [str(path) for path, _ in linear_time.modules() if "regex_engine" in path.read_text()] == []


def test_the_growth_measure_detects_a_non_linear_pattern() -> None:
    assert linear_time.growth_report(re.compile("a+b").search, ("", "a", "!")) is not None
    assert linear_time.growth_report(re.compile("a++b").match, ("", "a", "!")) is None
