"""Whether a workspace has a generation or a project."""

from __future__ import annotations

from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.adapters.aws.dynamodb.projects import ProjectItem


class DynamoSubjects:
    """Generations and projects by their ids."""

    def __init__(self, generations_table: str, library_table: str) -> None:
        GenerationItem.bind(generations_table)
        ProjectItem.bind(library_table)

    def exists(self, workspace_id: str, subject_id: str) -> bool:
        """Whether the workspace has it now, also when it was made a moment ago."""
        model = GenerationItem if subject_id.startswith("gen_") else ProjectItem
        found = model.query(workspace_id, model.sk == subject_id, consistent_read=True, limit=1, page_size=1)
        return any(True for _ in found)
