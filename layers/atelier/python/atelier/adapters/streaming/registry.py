"""What chooses the streaming service: the one that the deployment has an access to, else the local one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from atelier.adapters.streaming.file_store import FileStore
from atelier.livestreams.ports import StreamingService

# Its entry in the providers secret.
SERVICE = "mux"


def create_service(
    access: Callable[[], Mapping[str, Any]],
    base_url: str,
    files: Callable[[], FileStore],
    cookies: Callable[[str, datetime], Mapping[str, str]],
) -> StreamingService:
    """The streaming service. access: the providers secret; files, cookies: of the media bucket, for the local one."""
    # Imported here, because a function uses one of them.
    if access().get(SERVICE):
        from atelier.adapters.streaming.mux import MuxStreaming, access_of

        return MuxStreaming(lambda: access_of(access().get(SERVICE, {})), base_url)
    from atelier.adapters.streaming.local import LocalStreaming

    return LocalStreaming(files(), cookies)
