"""Small resources that users write: created with an idempotency key, read, listed by cursor, changed and deleted.

A resource is a frozen dataclass with an id, its workspace and two times. `http/resources.py` declares its routes, and
`adapters/aws/dynamodb/documents.py` stores it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from atelier.dataclass import dataclass
from atelier.idempotency import IdempotencyKeys
from atelier.retrying import retrying

TRIES_MAX = 20


class Resource(Protocol):
    """What every resource has."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def id(self) -> str: ...

    @property
    def workspace_id(self) -> str: ...

    @property
    def user_id(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...


ResourceT = TypeVar("ResourceT", bound=Resource)


class ResourceExists(Exception):
    """A resource with this id exists already."""


class StaleResource(Exception):
    """The resource changed since it was read: read it and apply the change again."""


@dataclass(frozen=True, slots=True)
class ResourcePage(Generic[ResourceT]):
    """Resources, newest first. `next_id` is the id after which the next page begins; None on the last page."""

    items: tuple[ResourceT, ...]
    next_id: str | None


class ResourceStore(Protocol[ResourceT]):
    """The stored resources of one kind. Every write is conditional."""

    def create(self, new: ResourceT) -> None:
        """Raises ResourceExists."""
        ...

    def get(self, workspace_id: str, resource_id: str) -> ResourceT:
        """The resource (consistent read); raises NotFound."""
        ...

    def list(self, workspace_id: str, after_id: str | None, limit: int) -> ResourcePage[ResourceT]: ...

    def change(self, before: ResourceT, after: ResourceT) -> None:
        """Write everything that a user may change. Raises StaleResource when the stored resource is not `before`."""
        ...

    def delete(self, workspace_id: str, resource_id: str) -> None:
        """Raises NotFound."""
        ...


def accept(before: object, after: object) -> None:
    """The check of resources that need none."""


@dataclass(frozen=True, slots=True)
class ResourceDeps(Generic[ResourceT]):
    """The dependencies of the use cases of a resource. check(before, after): raises when a resource must not become
    `after`; `before` is None for a new one."""

    store: ResourceStore[ResourceT]
    keys: IdempotencyKeys
    check: Callable[[ResourceT | None, ResourceT], None] = accept


def create_resource(
    deps: ResourceDeps[ResourceT], new: ResourceT, *, key: str | None, fingerprint: str
) -> tuple[ResourceT, bool]:
    """Create a resource. Returns it, and whether the same request created it before.

    key: the caller's idempotency key, if any; fingerprint: digest of the request that the key is bound to. Raises
    IdempotencyMismatch when the key was used for another request."""
    deps.check(None, new)
    if key is not None:
        new = replace(new, id=deps.keys.reserve(new.workspace_id, key, fingerprint, new.id))
    try:
        deps.store.create(new)
    except ResourceExists:
        # The same request created it earlier, or in parallel.
        return deps.store.get(new.workspace_id, new.id), True
    return new, False


def change_resource(
    deps: ResourceDeps[ResourceT],
    workspace_id: str,
    resource_id: str,
    apply_change: Callable[[ResourceT], ResourceT],
    now: datetime,
) -> ResourceT:
    """Change a resource by a function, and return it. Calls the function again when a parallel request changed the
    resource first. Raises NotFound, or Unavailable when parallel requests change it at every attempt."""

    def attempt() -> ResourceT:
        before = deps.store.get(workspace_id, resource_id)
        # Each change has a later `updated_at` than the one before, because the store's condition compares that time to
        # see whether the resource changed since it was read.
        at = max(now, before.updated_at + timedelta(milliseconds=1))
        after = replace(apply_change(before), updated_at=at)
        deps.check(before, after)
        deps.store.change(before, after)
        return after

    return retrying(attempt, on=StaleResource, busy="This is changing quickly. Try again.", tries_max=TRIES_MAX)
