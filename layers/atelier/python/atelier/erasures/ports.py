"""Ports of erasures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from atelier.erasures.model import Erasure, PersonalWords

# Called between writes; raises OutOfTime when the run has to end.
CheckTime = Callable[[], None]


class OutOfTime(Exception):
    """The time of this run is nearly up; the next one goes on."""


class ErasureStore(Protocol):
    """The list of erasures."""

    def due(self, now: datetime) -> Iterator[str]:
        """The subjects whose deletion is due and that are not claimed."""
        ...

    def claim(self, subject: str, now: datetime) -> bool:
        """Begin an erasure, in the write that makes a restoration of the subject impossible; False when it is not due
        any more, or was begun."""
        ...

    def open(self) -> Iterator[str]:
        """The subjects whose erasure has begun and is not complete."""
        ...

    def get(self, subject: str) -> Erasure:
        """Raises NotFound."""
        ...

    def add_counts(self, subject: str, counts: Mapping[str, int]) -> None:
        """Add to what was erased."""
        ...

    def complete(self, subject: str, at: datetime) -> None:
        """Note that nothing is left. Safe to repeat."""
        ...

    def begun_since(self, month: str) -> Iterator[str]:
        """The subjects whose erasures were begun in a month (`2026-11`) or later."""
        ...

    def reopen(self, subject: str) -> None:
        """Put an erasure back on the list of open ones, because a restored backup has its subject again."""
        ...


class ErasureJobs(Protocol):
    """Starts the jobs of erasures."""

    def start(self, subject: str, day: str) -> None:
        """Start the job of a subject, once a day."""
        ...


class ErasedItems(Protocol):
    """The items of tables, by partition."""

    def delete(self, table: str, partition: str, check_time: CheckTime) -> int:
        """Delete the items of a partition of a context's table; returns how many."""
        ...

    def delete_generations(self, workspace_id: str, check_time: CheckTime) -> int:
        """Delete a workspace's generations, each after the webhooks of its attempts."""
        ...

    def delete_billing(self, workspace_id: str, check_time: CheckTime) -> int:
        """Delete a workspace's records of billing, after the webhooks and the key of its objects at Stripe."""
        ...

    def delete_sites(self, workspace_id: str, check_time: CheckTime) -> int:
        """Delete a workspace's sites with all that they have, after the claims on their slugs and domains."""
        ...

    def close_wallet(self, workspace_id: str) -> None:
        """Let a wallet never be due for daily credits again. Its entries stay."""
        ...


class ErasedFiles(Protocol):
    """The files of buckets."""

    def delete(self, bucket: str, prefix: str, check_time: CheckTime) -> int:
        """Delete all versions of the files of a bucket (`media`, `exports`, `audit`) below a prefix; returns how
        many."""
        ...


class ErasedPeople(Protocol):
    """Accounts and memberships."""

    def close(self, user_id: str) -> None:
        """Let nobody sign in to the account any more."""
        ...

    def words(self, user_id: str, addresses: frozenset[str]) -> PersonalWords:
        """What names the person: the profile's name and address, and these addresses."""
        ...

    def organizations(self, user_id: str) -> Sequence[str]:
        """The organisations of which the user is a member."""
        ...

    def delete_traces(self, workspace_id: str, user_id: str, words: PersonalWords, check_time: CheckTime) -> int:
        """Delete what an organisation has of a person: API tokens, invitations and mails."""
        ...

    def leave(self, workspace_id: str, user_id: str, now: datetime) -> None:
        """End a membership. Where the last owner goes, the member with the strongest role becomes the owner; an
        organisation without another member is due for its own erasure. Safe to repeat."""
        ...

    def delete_claims(self, user_id: str, words: PersonalWords) -> int:
        """Delete the claims on the user's addresses and external logins."""
        ...

    def delete_account(self, user_id: str, check_time: CheckTime) -> int:
        """Delete all items of the user but the profile, and then what the profile says of the person."""
        ...

    def delete_members(self, workspace_id: str, check_time: CheckTime) -> int:
        """End all memberships of an organisation."""
        ...

    def delete_workspace(self, workspace_id: str, check_time: CheckTime) -> int:
        """Delete a workspace's items, after the claim on its short name."""
        ...


class ErasedLogs(Protocol):
    """Audit logs."""

    def addresses(self, user_id: str) -> frozenset[str]:
        """All e-mail addresses that the log of a user names as the user's own."""
        ...

    def delete(self, log: str, check_time: CheckTime) -> int:
        """Delete a whole log: its files, its events and its seals."""
        ...

    def redact(self, log: str, user_id: str, words: PersonalWords, now: datetime, check_time: CheckTime) -> int:
        """Take out of a log that stays what names a person, with an event that says in which events; returns in how
        many."""
        ...
