"""Assets as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Asset:
    """One kept file. `sha256` and `format` name its bytes in the media store; sizes in bytes and pixels."""

    id: str
    workspace_id: str
    user_id: str
    type: str
    name: str
    format: str
    sha256: str
    size_bytes: int
    width: int
    height: int
    generation_id: str
    created_at: datetime
    archived_at: datetime | None = None
    project_id: str | None = None
