"""Moderation of what is asked for, before anything is reserved, written or sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from atelier.errors import PromptRefused, Unavailable
from atelier.moderation.blocklist import Blocklist
from atelier.moderation.model import WORDS, Category, Policy, Wording
from atelier.moderation.ports import Moderator
from atelier.telemetry import count, logger

# A caller waits for it.
SECONDS_MAX = 2.0
PROMPT = "prompt"
# How much of a text's beginning and end is read together with its neighbours.
END = 200
# A choice, of a quality or a format, is no text that others are read together with.
LABEL = re.compile(r"[a-z0-9_.:-]{1,24}")


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

    def _listed(self, wordings: Sequence[Wording]) -> tuple[str, tuple[Category, ...]] | None:
        for wording in wordings:
            categories = self.policy.refusable(self.blocklist.found(wording.text, wanted=wording.wanted))
            if categories:
                return self._place(wording, categories[0]), categories
        for path, text, apart in seams(wordings):
            found = self.blocklist.found(text)
            if apart and Category.MINORS in found:
                # Between the messages of two people, words are near each other by chance.
                found = found - {Category.MINORS} | self.blocklist.found(text, wanted=False)
            categories = self.policy.refusable(found)
            if categories:
                return path, categories
        return None

    def _place(self, wording: Wording, category: Category) -> str:
        """Which of its parts it is; the whole where it is none of them alone."""
        return next(
            (path for path, text in wording.parts if category in self.blocklist.found(text, wanted=wording.wanted)),
            wording.path,
        )

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
            categories = self.policy.refusable(found)
            if categories:
                raise _refused(wording.path, categories, by="moderator")


def seams(wordings: Sequence[Wording]) -> Iterator[tuple[str, str, bool]]:
    """What is read across the ends of texts that a model reads one after the other: where, the text, and whether
    another's message stands between."""
    wanted = [wording for wording in wordings if wording.wanted]
    for wording in wanted:
        texts = [text for _, text in wording.parts]
        if len(texts) > 1:
            yield wording.path, _joined(texts), False
        for turn in (texts[::2], texts[1::2]):
            if len(turn) > 1:
                yield wording.path, _joined(turn), True
    whole = [wording for wording in wanted if " " in wording.text or not LABEL.fullmatch(wording.text)]
    # Whatever instructs comes before the prompt, which may be a conversation's last message as well.
    before = [wording for wording in whole if wording.path != PROMPT]
    prompts = [
        wording for wording in whole if wording.path == PROMPT and all(wording.text not in b.text for b in before)
    ]
    if len(before) + len(prompts) > 1:
        yield PROMPT, _joined([wording.text for wording in (*before, *prompts)]), False


def _joined(texts: Sequence[str]) -> str:
    return " ".join(text if len(text) <= 2 * END else f"{text[:END]}\n{text[-END:]}" for text in texts)


def _refused(path: str, categories: tuple[Category, ...], *, by: str) -> PromptRefused:
    count("ModerationRefused", of="prompts", category=categories[0], by=by)
    return PromptRefused(path, categories, ", ".join(WORDS[category] for category in categories))
