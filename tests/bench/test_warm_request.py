"""Row 3 runs: both sides answer the request that it measures."""

from __future__ import annotations

import pytest

from tests.bench import warm_request
from tests.bench.measure import run_child


@pytest.mark.parametrize("side", ["ours", "typical"])
def test_each_side_of_the_row_answers(side: str) -> None:
    assert run_child([warm_request.__file__, side], warm_request.ENVIRONMENT)["microseconds"] > 0
