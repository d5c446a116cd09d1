"""Change what a person says of an asset: its name, a description, tags, its project, whether it is a favourite or
archived."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from atelier.errors import NotFound, ValidationFailed
from atelier.lazy_model import LazyModel
from atelier.library.model import Asset
from atelier.library.ports import AssetChanges, Assets, TargetProjectGone, TargetProjects

TAGS_MAX = 20
Name = Annotated[str, Field(min_length=1, max_length=120)]
ProjectId = Annotated[str, Field(pattern=r"^prj_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
Description = Annotated[str, Field(max_length=2000)]
# Two tags that differ in capital letters alone would be one for a reader.
Tag = Annotated[str, StringConstraints(min_length=1, max_length=40, to_lower=True)]


def _without_duplicates(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


Tags = Annotated[
    list[Tag],
    Field(max_length=TAGS_MAX, description="In small letters; all of them, because they replace the present ones."),
    AfterValidator(_without_duplicates),
]


class ChangeAssetRequest(LazyModel):
    """Changes of an asset: a field that is left out stays as it is, and null clears it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Name = ""
    description: Description | None = None
    tags: Tags = []
    favorite: bool = False
    archived: bool = Field(default=False, description="An archived asset stays where it is used.")
    project_id: ProjectId | None = Field(
        default=None, description="Where it belongs. What it has cost stays with the project that paid for it."
    )

    def changes(self, now: datetime) -> AssetChanges:
        """What to write: the named fields alone."""
        named = self.model_dump(include=self.model_fields_set)
        if "archived" in named:
            named["archived_at"] = now if named.pop("archived") else None
        return named


def change_asset(
    workspace_id: str,
    asset_id: str,
    changes: AssetChanges,
    *,
    assets: Assets,
    projects: Callable[[], TargetProjects],
) -> Asset:
    """Write the changes, and return the asset with them. Requests at the same time change different fields without
    losing one another's; of one field the last request wins. Raises NotFound, and ValidationFailed for a project that
    takes no assets. `projects` is called when the asset moves to one."""
    if project_id := changes.get("project_id"):
        _check_target(workspace_id, project_id, projects())
    if changes:
        try:
            assets.change(workspace_id, asset_id, changes)
        except TargetProjectGone:
            raise _no_project() from None
    return assets.get(workspace_id, asset_id)


def _check_target(workspace_id: str, project_id: str, projects: TargetProjects) -> None:
    try:
        is_archived = projects.get(workspace_id, project_id).archived_at is not None
    except NotFound:
        raise _no_project() from None
    if is_archived:
        raise ValidationFailed([{"path": "project_id", "message": "This project is archived."}])


def _no_project() -> ValidationFailed:
    return ValidationFailed([{"path": "project_id", "message": "There is no such project here."}])
