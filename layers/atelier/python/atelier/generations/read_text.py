"""Read the text that a generation delivered."""

from __future__ import annotations

from collections.abc import Callable

from atelier.generations.model import TEXT_KINDS, Generation, Status


def read_text(generation: Generation, read_file: Callable[[str, str, str], bytes]) -> str | None:
    """The content of a text or page result; None while there is none. read_file(workspace_id, sha256, format): the
    bytes of a delivered file."""
    text_asset = next((asset for asset in generation.assets if asset.type in ("text", "page")), None)
    if text_asset is not None:
        return read_file(generation.workspace_id, text_asset.sha256, text_asset.format).decode()
    # A text that succeeded without a file is an empty one.
    return "" if generation.status is Status.SUCCEEDED and generation.recipe.kind in TEXT_KINDS else None
