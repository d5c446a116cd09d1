"""Settings: a missing variable is named, and no other is shown."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from atelier.settings import EventBus


def test_a_missing_variable_is_named_without_the_values_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATELIER_EVENT_BUS", raising=False)
    EventBus.read.cache_clear()  # type: ignore[attr-defined]
    with pytest.raises(ValidationError, match="ATELIER_EVENT_BUS") as missing:
        EventBus.read()
    assert "input" not in str(missing.value)
