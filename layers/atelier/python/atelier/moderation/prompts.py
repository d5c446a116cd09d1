"""Moderation of the texts of a request, before anything is reserved, written or sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from atelier.dataclass import dataclass
from atelier.errors import PromptRefused, Unavailable
from atelier.moderation.blocklist import Blocklist
from atelier.moderation.model import CATEGORY_NAMES, Category, Policy, RequestText
from atelier.moderation.ports import Moderator
from atelier.telemetry import logger, put_count

# Short, because the caller waits for the check.
SECONDS_MAX = 2.0
PROMPT = "prompt"
# How many characters of a text's beginning and end are checked together with its neighbours.
EDGE_CHARACTERS = 200
# Texts of this form are choices (a quality, a format), which are not checked together with other texts.
CHOICE_PATTERN = re.compile(r"[a-z0-9_.:-]{1,24}")


@dataclass(frozen=True, slots=True)
class PromptCheck:
    """Checks by the blocklist, which is free, and then by the moderator, which is built when first needed."""

    policy: Policy
    blocklist: Blocklist
    moderator: Callable[[], Moderator] | None = None

    def __call__(self, wordings: Sequence[RequestText], *, accepted_before: Callable[[], bool]) -> None:
        """Check the texts of a request. accepted_before: whether the same request was accepted already; then it is not
        checked again. It is called only when a check would follow. Raises PromptRefused for a refused category, and
        Unavailable when the moderator does not answer and the policy refuses in that case."""
        listed = self._blocklist_match(wordings)
        if listed is None and self.moderator is None:
            return
        if accepted_before():
            return
        if listed is not None:
            raise _prompt_refused(*listed, by="blocklist")
        if self.moderator is not None:
            self._check_by_moderator(self.moderator(), [wording for wording in wordings if wording.wanted])

    def _blocklist_match(self, wordings: Sequence[RequestText]) -> tuple[str, tuple[Category, ...]] | None:
        for wording in wordings:
            categories = self.policy.refused_categories(
                self.blocklist.categories_of(wording.text, wanted=wording.wanted)
            )
            if categories:
                return self._path_of(wording, categories[0]), categories
        for path, text, apart in joined_texts(wordings):
            categories_found = self.blocklist.categories_of(text)
            if apart and Category.MINORS in categories_found:
                # Across messages of two people, words are near each other by chance, so pairs of words do not count.
                categories_found = categories_found - {Category.MINORS} | self.blocklist.categories_of(
                    text, wanted=False
                )
            categories = self.policy.refused_categories(categories_found)
            if categories:
                return path, categories
        return None

    def _path_of(self, wording: RequestText, category: Category) -> str:
        """The path of the part in which the category is found; the whole text's path when no part has it alone."""
        return next(
            (
                path
                for path, text in wording.parts
                if category in self.blocklist.categories_of(text, wanted=wording.wanted)
            ),
            wording.path,
        )

    def _check_by_moderator(self, moderator: Moderator, wanted: Sequence[RequestText]) -> None:
        findings = moderator.texts([wording.text for wording in wanted], seconds_max=SECONDS_MAX)
        if findings is None:
            # A text that passed the blocklist is accepted without the moderator, unless the policy refuses.
            put_count("ModerationUnanswered")
            logger.warning("moderation unanswered", of="prompts", policy=self.policy.unanswered)
            if self.policy.unanswered == "refuse":
                raise Unavailable("Prompts cannot be checked at the moment. Nothing was charged; try again soon.")
            return
        for wording, found in zip(wanted, findings, strict=True):
            categories = self.policy.refused_categories(found)
            if categories:
                raise _prompt_refused(wording.path, categories, by="moderator")


def joined_texts(wordings: Sequence[RequestText]) -> Iterator[tuple[str, str, bool]]:
    """Joins of texts that a model reads one after the other, so that a phrase across their ends is found. Yields the
    path, the joined text, and whether messages of the other speaker stand between the texts."""
    wanted = [wording for wording in wordings if wording.wanted]
    for wording in wanted:
        texts = [text for _, text in wording.parts]
        if len(texts) > 1:
            yield wording.path, _join(texts), False
        for turn in (texts[::2], texts[1::2]):
            if len(turn) > 1:
                yield wording.path, _join(turn), True
    whole = [wording for wording in wanted if " " in wording.text or not CHOICE_PATTERN.fullmatch(wording.text)]
    # Other texts come before the prompt. A prompt that is also a part of another text, such as the last message of a
    # conversation, is not joined a second time.
    before = [wording for wording in whole if wording.path != PROMPT]
    prompts = [
        wording for wording in whole if wording.path == PROMPT and all(wording.text not in b.text for b in before)
    ]
    if len(before) + len(prompts) > 1:
        yield PROMPT, _join([wording.text for wording in (*before, *prompts)]), False


def _join(texts: Sequence[str]) -> str:
    return " ".join(
        text if len(text) <= 2 * EDGE_CHARACTERS else f"{text[:EDGE_CHARACTERS]}\n{text[-EDGE_CHARACTERS:]}"
        for text in texts
    )


def _prompt_refused(path: str, categories: tuple[Category, ...], *, by: str) -> PromptRefused:
    put_count("ModerationRefused", of="prompts", category=categories[0], by=by)
    return PromptRefused(path, categories, ", ".join(CATEGORY_NAMES[category] for category in categories))
