"""Delete an asset: it leaves the library at once, and its file is no longer served unless another asset has the same.

Files are stored by the hash of their bytes, once in a workspace. Another asset with the same bytes may be recorded
while the file is being removed, so the library is asked again afterwards, and the removal is taken back. Generations
that are under way still read the file: the bucket keeps removed files for a month (`adapters/media/delivery.py`).
"""

from __future__ import annotations

from datetime import datetime

from atelier.library.model import DeletedAsset
from atelier.library.ports import Assets, StoredFiles


def delete_asset(workspace_id: str, asset_id: str, *, assets: Assets, files: StoredFiles, now: datetime) -> None:
    """Delete an asset for good. May be repeated: then it ends what an earlier call has left undone. Raises NotFound for
    an asset that the workspace never had."""
    remove_file(assets.delete(workspace_id, asset_id, now), assets=assets, files=files)


def remove_file(deleted: DeletedAsset, *, assets: Assets, files: StoredFiles) -> None:
    """Remove the file of a deleted asset, unless another asset has it. Safe to repeat."""
    workspace_id = deleted.workspace_id
    if not deleted.is_file_pending:
        return
    if not assets.is_file_used(workspace_id, deleted.sha256):
        removed = files.remove(workspace_id, deleted.sha256, deleted.format)
        if assets.is_file_used(workspace_id, deleted.sha256):
            files.restore(removed)
    assets.settle_file(workspace_id, deleted.id)
