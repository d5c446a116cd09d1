"""What a model's answer says about a page, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from atelier.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class WrittenBlock:
    """A block as a model wrote it: nothing of it is sanitised or checked. block_id: the block of the page that it
    rewrites; None = a new one. part: the name of the part that it uses, with its parameters and slots."""

    html: str = ""
    css: str = ""
    js: str = ""
    block_id: str | None = None
    part: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    slots: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    """A readable answer. title, description, path: empty = it names none. left_out: what it contains beside the page,
    such as further pages or links to scripts of other hosts. is_cut: it ends in the middle."""

    blocks: tuple[WrittenBlock, ...]
    title: str = ""
    description: str = ""
    path: str = ""
    left_out: tuple[str, ...] = ()
    is_cut: bool = False


class UnreadableReason(StrEnum):
    EMPTY = "empty"
    REFUSED = "refused"
    NO_PAGE = "no_page"


@dataclass(frozen=True, slots=True)
class UnreadableAnswer:
    """An answer without anything that could become a block."""

    reason: UnreadableReason

    @property
    def message(self) -> str:
        """The reason, for the person who asked."""
        return {
            UnreadableReason.EMPTY: "The model wrote nothing.",
            UnreadableReason.REFUSED: "The model declined to write this.",
            UnreadableReason.NO_PAGE: "The model's answer has no page in it.",
        }[self.reason]
