"""The deployment in which the crash tests run: created once for each test file, because creating it takes longer than
most runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crashes.deployment import ProductDeployment, deployed_product


@pytest.fixture(scope="module")
def deployment(emulator: str) -> Iterator[ProductDeployment]:
    with deployed_product(emulator) as made:
        yield made
