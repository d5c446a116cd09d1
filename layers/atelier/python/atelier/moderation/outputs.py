"""Moderation of files before they are stored where anybody could see them: results of providers, and uploads."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from atelier.dataclass import dataclass
from atelier.errors import Unavailable
from atelier.moderation.blocklist import Blocklist
from atelier.moderation.model import Category, OutputWithheld, Policy, Thumbnail
from atelier.moderation.ports import Moderator
from atelier.telemetry import logger, put_count

# No caller waits on a connection for the check of a result; a caller who uploads a file does wait.
SECONDS_MAX, BROUGHT_SECONDS_MAX = 10.0, 3.0
FILE_NAMES = {"outputs": "result", "uploads": "file"}
THUMBNAIL_TYPES = frozenset({"image", "video"})
TAG = re.compile(r"<[^<>]*>")
# Attributes whose text is shown or read out to the reader of a page.
SHOWN_ATTRIBUTES = re.compile(
    r"\b(?:alt|aria-label|content|label|placeholder|title|value)\s*=\s*(\"[^\"]*\"|'[^']*')", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """Checks texts by blocklist and moderator, and thumbnails of images and videos by the moderator. Audio is not
    checked: its script was, before it was spoken."""

    policy: Policy
    blocklist: Blocklist
    moderator: Callable[[], Moderator] | None = None
    of: Literal["outputs", "uploads"] = "outputs"
    seconds_max: float = SECONDS_MAX

    def __call__(self, type: str, data: bytes, thumbnail: Thumbnail | None) -> None:
        """Check a valid file; of an image or a video, its thumbnail. Raises OutputWithheld, or Unavailable when the
        moderator does not answer and the policy refuses in that case."""
        if type == "text":
            self._check_text(data.decode(errors="replace"))
        elif type == "page":
            # Imported here: its table of names is large, and few results are pages.
            import html

            page = data.decode(errors="replace")
            self._check_text(html.unescape("\n".join([TAG.sub(" ", page), *SHOWN_ATTRIBUTES.findall(page)])))
        elif type in THUMBNAIL_TYPES and thumbnail is not None and self.moderator is not None:
            self._judge(self.moderator().image(thumbnail, seconds_max=self.seconds_max), "moderator")

    def _check_text(self, text: str) -> None:
        self._judge(self.blocklist.categories_of(text), "blocklist")
        if self.moderator is not None:
            findings = self.moderator().texts([text], seconds_max=self.seconds_max)
            self._judge(None if findings is None else findings[0], "moderator")

    def _judge(self, found: frozenset[Category] | None, by: str) -> None:
        if found is None:
            put_count("ModerationUnanswered")
            logger.warning("moderation unanswered", of=self.of, policy=self.policy.unanswered)
            if self.policy.unanswered == "refuse":
                # The state machine retries; at the generation's deadline it stops and the credits are released.
                raise Unavailable(f"The {FILE_NAMES[self.of]} cannot be checked at the moment.")
            return
        category = self.policy.gravest(found)
        if category:
            put_count("ModerationRefused", of=self.of, category=category, by=by)
            raise OutputWithheld(category)
