"""The place where functions die: made once for all tests of a file, as making it takes longer than most runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crashes.place import Place, placed


@pytest.fixture(scope="module")
def place(emulator: str) -> Iterator[Place]:
    with placed(emulator) as made:
        yield made
