"""The deployment in which the crash tests run: created once for each test file, because creating it takes longer than
most runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crashes.place import Place, placed


@pytest.fixture(scope="module")
def place(emulator: str) -> Iterator[Place]:
    with placed(emulator) as made:
        yield made
