"""A personal workspace with a project in which everything is that a move has to take along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pynamodb.expressions.update import Action

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.generations.items import GenerationItem, RecipeItem
from atelier.adapters.aws.dynamodb.ledger.items import WALLET, WalletItem
from atelier.adapters.aws.dynamodb.library import AssetItem
from atelier.adapters.aws.dynamodb.projects import AlertItem, BudgetItem, ProjectItem
from atelier.adapters.aws.dynamodb.usage import UsageItem, read_usage
from atelier.adapters.media.keys import media_key, thumbnail_key
from atelier.clock import system_clock
from atelier.generations.model import Attempt, AttemptStatus, DeliveredFile, Generation, Kind, Recipe, Status, asset_id
from atelier.ids import new_id
from atelier.library.model import Asset
from atelier.projects.alert import list_alerts
from atelier.projects.model import Budget, Project
from atelier.settings import MediaBucket
from atelier.wiring import generations, ledger, library, moves, projects
from tests.functions.people import Person
from tests.invoke import load_function
from tests.recorded_assets import record_asset

# A recipe of this length is stored apart from its generation.
LONG_PROMPT = "a lighthouse at dusk " * 40
SHARED = "5" * 64


@dataclass(frozen=True)
class MovingProject:
    """A project with what belongs to it, and what only seems to. `assets`: by their ids, which file; `foreign_asset`:
    delivered by a generation of the project, and belongs to another project since; `left`: assets of the source that
    stay."""

    owner: Person
    target_id: str
    project: Project
    other: Project
    assets: Mapping[str, str]
    generation_ids: tuple[str, ...]
    foreign_asset: str
    left: tuple[str, ...]

    @property
    def source_id(self) -> str:
        return self.owner.workspace_id

    @property
    def path(self) -> str:
        return f"/api/projects/{self.project.id}"

    @property
    def bytes(self) -> int:
        """Of the files that move."""
        return sum(map(size_of, self.assets.values()))

    def deliver(self, context: Any = None) -> None:
        """The stream continues the move."""
        load_function("streams/library").handler(move_record(self.source_id, self.project.id), context)


def size_of(sha256: str) -> int:
    """The size of the file with this hash, in bytes."""
    return 1000 + int(sha256[0], 16)


def move_record(source_id: str, *project_ids: str) -> dict[str, Any]:
    """A batch of the table's stream, of the records of these moves."""
    return {
        "Records": [
            {"eventName": "MODIFY", "dynamodb": {"Keys": {"pk": {"S": source_id}, "sk": {"S": f"move#{project_id}"}}}}
            for project_id in project_ids
        ]
    }


def create_project(workspace_id: str, name: str, limit_microusd: int | None = None) -> Project:
    """Creates an empty project."""
    now = system_clock()
    project = Project(new_id("prj", now), workspace_id, "usr_A", name, now, now)
    projects.projects().create(project, Budget(workspace_id, project.id, limit_microusd))
    return project


def make_generation(
    owner: Person, project_id: str | None, *files: str, prompt: str = "boats", status: Status = Status.SUCCEEDED
) -> Generation:
    """Writes a generation that has ended, or is open, with the assets that it delivered and their files."""
    now = system_clock()
    generation_id = new_id("gen", now)
    attempt = Attempt(new_id("att", now), "local", "local/canvas", AttemptStatus.SUCCEEDED, now, now)
    delivered = tuple(
        DeliveredFile(asset_id(generation_id, number), "image", sha, "png", size_of(sha), 64, 64, has_thumbnail=True)
        for number, sha in enumerate(files)
    )
    made = Generation(
        id=generation_id,
        workspace_id=owner.workspace_id,
        user_id=owner.user_id,
        recipe=Recipe(Kind.IMAGE, prompt, "local/canvas"),
        candidates=("local/canvas",),
        price_version="tests",
        watermark=False,
        credits_held=0,
        status=status,
        created_at=now,
        deadline_at=now + timedelta(minutes=5),
        project_id=project_id,
        budgets=(project_id,) if project_id else (),
        attempts=(attempt,),
        assets=delivered,
        completed_at=now,
    )
    library.assets()
    generations.store().write_final(made)
    for number, file in enumerate(delivered):
        store_file(owner.workspace_id, file.sha256)
        record_asset(made, file, number)
    return made


def store_upload(owner: Person, project_id: str | None, sha256: str) -> str:
    """Stores an uploaded asset with its file; returns its id."""
    now = system_clock()
    store_file(owner.workspace_id, sha256)
    asset = Asset(
        new_id("ast", now), owner.workspace_id, owner.user_id, "image", "harbour.png", "png", sha256, size_of(sha256),
        64, 64, None, now, project_id=project_id,
    )  # fmt: skip
    library.assets().record_upload(asset)
    return asset.id


def store_file(workspace_id: str, sha256: str) -> None:
    """Stores a file and its thumbnail."""
    for key, content_type in (
        (media_key(workspace_id, sha256, "png"), "image/png"),
        (thumbnail_key(workspace_id, sha256), "image/webp"),
    ):
        client("s3").put_object(
            Bucket=MediaBucket.read().bucket, Key=key, Body=f"bytes of {sha256}".encode(), ContentType=content_type
        )


def file_names(workspace_id: str) -> set[str]:
    """The names of a workspace's stored files, thumbnails too."""
    prefix = f"media/{workspace_id}/"
    found = client("s3").list_objects_v2(Bucket=MediaBucket.read().bucket, Prefix=prefix)
    return {each["Key"].removeprefix(prefix) for each in found.get("Contents", ())}


def names_of(*hashes: str) -> set[str]:
    """The names under which files with these hashes are stored."""
    return {name for sha in hashes for name in (f"{sha}.png", f"{sha}.thumb.webp")}


def set_usage(workspace_id: str, name: str, used: int) -> None:
    """Lets a workspace use this much of a quota."""
    UsageItem(workspace_id, f"usage#{name}", used=used, complete=1).save()


def used(workspace_id: str) -> tuple[int, int]:
    """The counted projects and bytes of a workspace."""
    wallet = ledger.wallets().wallet(workspace_id)
    return read_usage(workspace_id, "projects").used, wallet.stored_bytes(read_usage(workspace_id, "storage").used)


def set_delivered(workspace_id: str, size_bytes: int) -> None:
    """Lets the wallet count this many bytes of delivered files."""
    WalletItem(workspace_id, WALLET).update([WalletItem.delivered_bytes.set(size_bytes)])


def moving_project(owner: Person, target_id: str) -> MovingProject:
    """Creates the project: files that others of the source share and files that they do not, a recipe that is stored
    apart, an asset that was deleted, one that went to another project, one that came from there, and an alert."""
    moves.moves()
    project = create_project(owner.workspace_id, "Harbour lights", 5_000_000)
    other = create_project(owner.workspace_id, "Another one")
    first = make_generation(owner, project.id, "1" * 64, SHARED)
    second = make_generation(owner, project.id, "2" * 64, "3" * 64, prompt=LONG_PROMPT)
    apart = make_generation(owner, other.id, SHARED, "4" * 64)
    free = store_upload(owner, None, "6" * 64)
    uploaded = store_upload(owner, project.id, "7" * 64)
    assets = library.assets()
    deleted, went = second.assets[1].id, first.assets[0].id
    assets.delete(owner.workspace_id, deleted, system_clock())
    assets.settle_file(owner.workspace_id, deleted)
    for key in (media_key(owner.workspace_id, "3" * 64, "png"), thumbnail_key(owner.workspace_id, "3" * 64)):
        client("s3").delete_object(Bucket=MediaBucket.read().bucket, Key=key)
    assets.change(owner.workspace_id, went, {"project_id": other.id, "tags": ["kept"]})
    assets.change(owner.workspace_id, apart.assets[1].id, {"project_id": project.id, "favorite": True})
    now = system_clock()
    spent: list[Action] = [BudgetItem.spent_microusd.set(4_000_000), BudgetItem.left_microusd.set(1_000_000)]
    BudgetItem(owner.workspace_id, f"budget#{project.id}").update(spent)
    for alert in list_alerts(owner.workspace_id, project.id, projects=projects.projects(), now=now):
        projects.projects().mark_published(alert, now)
    moved = {
        first.assets[1].id: SHARED,
        second.assets[0].id: "2" * 64,
        apart.assets[1].id: "4" * 64,
        uploaded: "7" * 64,
    }
    left = (went, apart.assets[0].id, free)
    return MovingProject(owner, target_id, project, other, moved, (first.id, second.id), went, left)


def everything_of(workspace_id: str) -> dict[str, dict[str, Any]]:
    """All items of a workspace that moves touch, by their sort keys, without times of deletion."""
    found: dict[str, dict[str, Any]] = {}
    for model, prefix in (
        (AssetItem, "ast_"), (ProjectItem, "prj_"), (BudgetItem, "budget#"), (AlertItem, "alert#"),
        (UsageItem, "usage#"), (GenerationItem, "gen_"), (RecipeItem, "request#"),
    ):  # fmt: skip
        for item in model.query(workspace_id, model.sk.startswith(prefix), consistent_read=True):
            data = item.serialize(null_check=False)
            for name in ("deleted_at", "told_at"):
                if name in data:
                    data[name] = {"S": "some time"}
            found[item.sk] = data
    return found
