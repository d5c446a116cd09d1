"""MoveStore on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    CONFLICT_CODES,
    FILTERED_PAGE_SIZE,
    ConditionsFailed,
    Transaction,
    TransactionConflict,
    conditional,
    retry_conflicts,
    transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.adapters.aws.dynamodb.generations.store import DynamoGenerations
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, WorkspaceItem
from atelier.adapters.aws.dynamodb.ledger.store import DynamoWallets
from atelier.adapters.aws.dynamodb.ledger.transactions import put_same_delivered
from atelier.adapters.aws.dynamodb.library import AssetItem, DynamoAssets, decode_any_asset, deletion_actions
from atelier.adapters.aws.dynamodb.moves.generation_pages import put_generations
from atelier.adapters.aws.dynamodb.moves.items import (
    MOVE_PART,
    MoveItem,
    decode_move,
    has_value,
    key_of,
    move_item,
    put_move,
    relocated,
    unchanged,
)
from atelier.adapters.aws.dynamodb.projects import (
    AlertItem,
    BudgetItem,
    DynamoProjects,
    ProjectItem,
    alert_item,
    budget_item,
    decode_alert,
    decode_project,
    project_item,
)
from atelier.adapters.aws.dynamodb.usage import PROJECTS, STORAGE, put_usage, read_usage
from atelier.adapters.aws.dynamodb.workspaces.members import check_role
from atelier.audit_log.model import AuditEvent
from atelier.identity.permissions import Role
from atelier.library.lineage import bought_origins
from atelier.library.model import Asset, DeletedAsset
from atelier.moves.model import LATE_RESULTS, Move, Step, is_under_way
from atelier.moves.ports import NotOwner, StaleMove, StorageFull
from atelier.projects.model import Budget, Project, alert_in
from atelier.projects.ports import ProjectsFull

# A transaction takes a hundred parts; an asset needs two.
ASSETS_PER_PAGE = 20
GENERATIONS_PER_PAGE = 10
ALERTS_PER_PAGE = 20
# What may change in an asset between its read and its move.
CHANGEABLE = ("name", "description", "tags", "favorite", "archived_at", "deleted_at")
TRIES_MAX = 60
BUSY = "The workspaces are busy. Try again."


class DynamoMoves:
    """MoveStore on DynamoDB. The items of projects, assets, generations, workspaces and audit events must be bound to
    their tables too."""

    def __init__(
        self, projects: DynamoProjects, assets: DynamoAssets, generations: DynamoGenerations, wallets: DynamoWallets
    ) -> None:
        self._projects = projects
        self._assets = assets
        self._generations = generations
        self._wallets = wallets

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the library's table."""
        MoveItem.bind(table_name)

    def get(self, workspace_id: str, project_id: str) -> Move | None:
        try:
            return decode_move(MoveItem.get(workspace_id, f"move#{project_id}", consistent_read=True))
        except DoesNotExist:
            return None

    def count_under_way(self, workspace_id: str, project_id: str, now: datetime) -> int:
        found = self._generations.unfinished_of(workspace_id, project_id, now - LATE_RESULTS)
        return sum(is_under_way(generation, now) for generation in found)

    def begin(
        self, move: Move, project: Project, budget: Budget, projects_max: int, events: Sequence[AuditEvent]
    ) -> None:
        counts = project.archived_at is None
        if counts:
            self._projects.count(move.source_id)
            self._projects.count(move.target_id)
        # Both counters of bytes are complete from now on.
        self._assets.count_bytes(move.source_id)
        self._assets.count_bytes(move.target_id)
        taken_project, taken_budget = project_item(project), budget_item(budget)

        def fill(write: Transaction) -> None:
            write.delete(taken_project, ProjectItem.updated_at == taken_project.updated_at, part="project")
            same_budget = has_value(BudgetItem.limit_microusd, budget.limit_microusd)
            for attribute in (BudgetItem.generations, BudgetItem.spent_microusd, BudgetItem.reserved_microusd):
                same_budget &= attribute == getattr(budget, attribute.attr_name)
            write.delete(taken_budget, same_budget, part="project")
            record = move_item(move, project=taken_project, budget=taken_budget)
            write.save(record, MoveItem.pk.does_not_exist(), part="project")
            check_role(write, move.user_id, move.target_id, Role.OWNER, part="owner")
            exists = WorkspaceItem.pk.exists() & WorkspaceItem.deleted_at.does_not_exist()
            write.check(WorkspaceItem, move.target_id, PROFILE, exists, part="owner")
            if counts:
                put_usage(write, move.source_id, PROJECTS, -1)
                put_usage(write, move.target_id, PROJECTS, 1, most=projects_max)
            save_events(write, events)

        try:
            self._write(fill)
        except ConditionsFailed as error:
            if "project" in error.parts:
                raise StaleMove from error
            if "owner" in error.parts:
                raise NotOwner from error
            raise ProjectsFull(read_usage(move.target_id, PROJECTS).used) from error

    def touch(self, move: Move) -> None:
        actions: list[Action] = [MoveItem.revision.set(move.revision + 1)]
        # Without the condition, something else continues the move at this moment.
        conditional(lambda: key_of(move).update(actions, condition=unchanged(move)), CONFLICT_CODES)

    def count_bytes(self, move: Move) -> int:
        found = AssetItem.query(
            move.source_id,
            AssetItem.sk.between("ast_", "ast_~"),
            filter_condition=(AssetItem.project_id == move.project_id) & AssetItem.deleted_at.does_not_exist(),
            attributes_to_get=["pk", "sk", "size_bytes"],
            consistent_read=True,
        )
        return sum(int(item.size_bytes) for item in found)

    def reserve(self, move: Move, size_bytes: int, storage_max: int) -> None:
        after = replace(move.at_step(Step.ASSETS), reserved_bytes=size_bytes)

        def write_reservation() -> None:
            delivered = self._wallets.wallet(move.target_id).delivered_bytes
            try:
                with transaction() as write:
                    put_move(write, move, after)
                    if size_bytes:
                        # The limit holds for both counts together, so the wallet's must still be the one that was read.
                        put_same_delivered(write, move.target_id, delivered, part="wallet")
                        put_usage(write, move.target_id, STORAGE, size_bytes, most=storage_max - delivered)
            except ConditionsFailed as error:
                if MOVE_PART in error.parts:
                    raise StaleMove from error
                if "wallet" in error.parts:
                    raise TransactionConflict from error
                used = self._wallets.wallet(move.target_id).stored_bytes(read_usage(move.target_id, STORAGE).used)
                raise StorageFull(used, size_bytes) from error

        retry_conflicts(write_reservation, busy=BUSY, tries_max=TRIES_MAX)

    def undo(self, move: Move, events: Sequence[AuditEvent]) -> None:
        project, budget = self._taken(move)

        def fill(write: Transaction) -> None:
            write.delete(key_of(move), unchanged(move) & (MoveItem.step == Step.RESERVING.value), part=MOVE_PART)
            write.save(project, ProjectItem.pk.does_not_exist(), part=MOVE_PART)
            write.save(budget, BudgetItem.pk.does_not_exist(), part=MOVE_PART)
            if not project.archived_at:
                # Without a condition: the project was counted here until the move began.
                put_usage(write, move.source_id, PROJECTS, 1)
                put_usage(write, move.target_id, PROJECTS, -1)
            save_events(write, events)

        self._write_or_stale(fill)

    def next_assets(self, move: Move) -> tuple[Asset | DeletedAsset, ...]:
        found = AssetItem.query(
            move.source_id,
            AssetItem.sk.between(move.cursor or "ast_", "ast_~"),
            filter_condition=AssetItem.project_id == move.project_id,
            page_size=FILTERED_PAGE_SIZE,
            consistent_read=True,
        )
        return tuple(map(decode_any_asset, islice(found, ASSETS_PER_PAGE)))

    def move_assets(self, move: Move, page: Sequence[Asset | DeletedAsset], now: datetime) -> None:
        seen = {asset.id: asset for asset in page}
        items = list(AssetItem.batch_get([(move.source_id, asset_id) for asset_id in seen], consistent_read=True))
        if [item.sk for item in items if decode_any_asset(item) != seen[item.sk]] or len(items) < len(seen):
            raise StaleMove
        live = [item for item in items if not item.deleted_at]
        # What was bought stays at the source, and what was made from it still owes its royalties.
        origins = {asset.id: bought_origins(asset, assets=self._assets) for asset in page}
        after = replace(
            move,
            cursor=page[-1].id,
            moved_bytes=move.moved_bytes + sum(int(item.size_bytes) for item in live),
            assets=move.assets + len(live),
            unsettled=tuple(sorted(item.sk for item in live)),
        )

        def fill(write: Transaction) -> None:
            put_move(write, move, after)
            for item in items:
                _put_asset(write, item, move, origins[item.sk], now)
            if after.moved_bytes != move.moved_bytes:
                put_usage(write, move.source_id, STORAGE, move.moved_bytes - after.moved_bytes)

        self._write_or_stale(fill)

    def find_moved(self, move: Move) -> tuple[Asset | DeletedAsset, ...]:
        return self._assets.find_with_deleted(move.target_id, move.unsettled)

    def settle(self, move: Move) -> None:
        self.enter(move, replace(move, unsettled=()))

    def move_generations(self, move: Move, now: datetime) -> bool:
        found = GenerationItem.query(
            move.source_id,
            GenerationItem.sk.between(move.cursor or "gen_", "gen_~"),
            filter_condition=GenerationItem.project_id == move.project_id,
            page_size=FILTERED_PAGE_SIZE,
            consistent_read=True,
        )
        page = list(islice(found, GENERATIONS_PER_PAGE))
        if not page:
            return False

        def fill(write: Transaction) -> None:
            moved = put_generations(write, move, page, now)
            after = replace(move, cursor=moved[-1].sk, generations=move.generations + len(moved))
            put_move(write, move, after)

        self._write_or_stale(fill)
        return True

    def move_alerts(self, move: Move) -> bool:
        prefix = f"alert#{move.project_id}#"
        found = AlertItem.query(move.source_id, AlertItem.sk.startswith(prefix), consistent_read=True)
        page = list(islice(found, ALERTS_PER_PAGE))
        if not page:
            return False

        def fill(write: Transaction) -> None:
            put_move(write, move, move)
            for item in page:
                # The id of an alert is derived from its workspace too; with the source's id, the target would raise it
                # a second time.
                write.save(alert_item(alert_in(move.target_id, decode_alert(item))))
                write.delete(item, AlertItem.pk.exists(), part=MOVE_PART)

        self._write_or_stale(fill)
        return True

    def enter(self, before: Move, after: Move) -> None:
        self._write_or_stale(lambda write: put_move(write, before, after))

    def finish(self, before: Move, after: Move, events: Sequence[AuditEvent]) -> None:
        taken, budget = self._taken(before)
        project = decode_project(relocated(taken, before.target_id))
        own_files = f"/media/{before.source_id}/"
        if project.thumbnail_url and project.thumbnail_url.startswith(own_files):
            rest = project.thumbnail_url.removeprefix(own_files)
            project = replace(project, thumbnail_url=f"/media/{before.target_id}/{rest}")
        deleted_meanwhile = before.reserved_bytes - before.moved_bytes

        def fill(write: Transaction) -> None:
            put_move(write, before, after)
            write.save(project_item(project), ProjectItem.pk.does_not_exist(), part=MOVE_PART)
            write.save(relocated(budget, before.target_id), BudgetItem.pk.does_not_exist(), part=MOVE_PART)
            if deleted_meanwhile:
                put_usage(write, before.target_id, STORAGE, -deleted_meanwhile)
            save_events(write, events)

        self._write_or_stale(fill)

    def _taken(self, move: Move) -> tuple[ProjectItem, BudgetItem]:
        """The project and the budget that the record keeps; raises StaleMove when it keeps none any more."""
        try:
            item = MoveItem.get(move.source_id, f"move#{move.project_id}", consistent_read=True)
        except DoesNotExist as error:
            raise StaleMove from error
        if item.project is None or item.budget is None:
            raise StaleMove
        return ProjectItem.from_raw_data(item.project), BudgetItem.from_raw_data(item.budget)

    @staticmethod
    def _write(fill: Callable[[Transaction], None]) -> None:
        def write_all() -> None:
            with transaction() as write:
                fill(write)

        # Both counters of a workspace change with everything that it stores at the same moment.
        retry_conflicts(write_all, busy=BUSY, tries_max=TRIES_MAX)

    def _write_or_stale(self, fill: Callable[[Transaction], None]) -> None:
        try:
            self._write(fill)
        except ConditionsFailed as error:
            raise StaleMove from error


def _put_asset(write: Transaction, item: AssetItem, move: Move, origins: Sequence[str], now: datetime) -> None:
    """Add one asset's move to a transaction: one put at the target, one update at the source. origins: the listings of
    the showcase in what it was made of."""
    moved = relocated(item, move.target_id)
    moved.origin_listing_ids = [each for each in origins if each != item.listing_id] or None
    moved.name, moved.file_pending, moved.uploaded = moved.name or "", None, None
    moved.counted = None if item.deleted_at else 1
    write.save(moved, AssetItem.pk.does_not_exist(), part="asset")

    unchanged_item = AssetItem.project_id == move.project_id
    for name in CHANGEABLE:
        unchanged_item &= has_value(getattr(AssetItem, name), getattr(item, name))
    actions = [AssetItem.project_id.remove(), *([] if item.deleted_at else deletion_actions(now))]
    write.update(AssetItem(item.pk, item.sk), actions, unchanged_item, part="asset")
