"""Moderation of what is asked for, before anything is reserved, written or sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from atelier.errors import PromptRefused, Unavailable
from atelier.moderation.blocklist import Blocklist
from atelier.moderation.model import Category, Policy, Wording
from atelier.moderation.ports import Moderator
from atelier.telemetry import count, logger

# A caller waits for it.
SECONDS_MAX = 2.0


@dataclass(frozen=True)
class PromptCheck:
    """The blocklist, which is free, and then whoever else judges here, made when first needed."""

    policy: Policy
    blocklist: Blocklist
    moderator: Callable[[], Moderator] | None = None

    def __call__(self, wordings: Sequence[Wording], *, accepted_before: Callable[[], bool]) -> None:
        """Raises PromptRefused for what may not be asked for; Unavailable where nobody judged and the policy wants
        that. accepted_before: whether this very request has been taken already: then it is not judged again. Asked only
        when that matters."""
        listed = self._listed(wordings)
        if listed is None and self.moderator is None:
            return
        if accepted_before():
            return
        if listed is not None:
            raise _refused(*listed, by="blocklist")
        if self.moderator is not None:
            self._ask(self.moderator(), [wording for wording in wordings if wording.wanted])

    def _listed(self, wordings: Sequence[Wording]) -> tuple[Wording, Category] | None:
        for wording in wordings:
            category = self.policy.gravest(self.blocklist.found(wording.text, wanted=wording.wanted))
            if category:
                return wording, category
        return None

    def _ask(self, moderator: Moderator, wanted: Sequence[Wording]) -> None:
        findings = moderator.texts([wording.text for wording in wanted], seconds_max=SECONDS_MAX)
        if findings is None:
            # What the blocklist has let through waits for nobody, unless the policy says so.
            count("ModerationUnanswered")
            logger.warning("moderation unanswered", of="prompts", policy=self.policy.unanswered)
            if self.policy.unanswered == "refuse":
                raise Unavailable("Prompts cannot be checked at the moment. Nothing was charged; try again soon.")
            return
        for wording, found in zip(wanted, findings, strict=True):
            category = self.policy.gravest(found)
            if category:
                raise _refused(wording, category, by="moderator")


def _refused(wording: Wording, category: Category, *, by: str) -> PromptRefused:
    count("ModerationRefused", of="prompts", category=category, by=by)
    return PromptRefused(wording.path, category)
