"""An erasure as a value. Pure.

Its *subject* is an account (`usr_…`, with its personal workspace) or an organisation (`wsp_…`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.item_kinds import USER

# A name that is shorter is part of many words.
NAME_CHARACTERS_MIN = 4


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure. Its record is kept for ever, so that a restored backup can be erased again; it names nobody.

    workspace_id: the personal workspace of the account, or the organisation itself. counts: what was erased so far, by
    kind; what a killed run has erased may be missing in it."""

    subject: str
    workspace_id: str
    claimed_at: datetime
    completed_at: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def user_id(self) -> str | None:
        """The user whose account is erased; None for an organisation."""
        return self.subject if self.subject.startswith(USER) else None


@dataclass(frozen=True, slots=True)
class PersonalWords:
    """What names a person in records of others. name: as in the profile. addresses: all e-mail addresses that the
    account has had, without capital letters."""

    name: str = ""
    addresses: frozenset[str] = frozenset()

    def is_in(self, text: str) -> bool:
        """Whether a text has one of the addresses or the name. A short name is looked for as a whole text alone: as a
        part it may be any word."""
        lower, name = text.casefold(), self.name.casefold()
        is_named = name in lower if len(name) >= NAME_CHARACTERS_MIN else lower == name and bool(name)
        return is_named or any(address in lower for address in self.addresses)
