"""Moderation of files before they are kept where anybody could see them: what providers make, and what people bring."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from atelier.errors import Unavailable
from atelier.moderation.blocklist import Blocklist
from atelier.moderation.model import Category, OutputWithheld, Picture, Policy
from atelier.moderation.ports import Moderator
from atelier.telemetry import count, logger

# Nobody waits at the other end of a connection; but whoever brings a file does.
SECONDS_MAX, BROUGHT_SECONDS_MAX = 10.0, 3.0
NAMES = {"outputs": "result", "uploads": "file"}
SEEN = frozenset({"image", "video"})
TAG = re.compile(r"<[^<>]*>")
# What a tag shows or says to its reader.
SHOWN = re.compile(
    r"\b(?:alt|aria-label|content|label|placeholder|title|value)\s*=\s*(\"[^\"]*\"|'[^']*')", re.IGNORECASE
)


@dataclass(frozen=True)
class OutputCheck:
    """Texts by the blocklist and the moderator, pictures by the moderator; a sound by nobody: its script was."""

    policy: Policy
    blocklist: Blocklist
    moderator: Callable[[], Moderator] | None = None
    of: Literal["outputs", "uploads"] = "outputs"
    seconds_max: float = SECONDS_MAX

    def __call__(self, type: str, data: bytes, thumbnail: Picture | None) -> None:
        """Look at a file that is fit to be kept; of a picture or a film, at a small picture of it. Raises
        OutputWithheld, or Unavailable where nobody judged and the policy wants that."""
        if type == "text":
            self._text(data.decode(errors="replace"))
        elif type == "page":
            # Imported here: its table of names is large, and few results are pages.
            import html

            page = data.decode(errors="replace")
            self._text(html.unescape("\n".join([TAG.sub(" ", page), *SHOWN.findall(page)])))
        elif type in SEEN and thumbnail is not None and self.moderator is not None:
            self._judge(self.moderator().picture(thumbnail, seconds_max=self.seconds_max), "moderator")

    def _text(self, text: str) -> None:
        self._judge(self.blocklist.found(text), "blocklist")
        if self.moderator is not None:
            findings = self.moderator().texts([text], seconds_max=self.seconds_max)
            self._judge(None if findings is None else findings[0], "moderator")

    def _judge(self, found: frozenset[Category] | None, by: str) -> None:
        if found is None:
            count("ModerationUnanswered")
            logger.warning("moderation unanswered", of=self.of, policy=self.policy.unanswered)
            if self.policy.unanswered == "refuse":
                # Tried again by the state machine, and given up with the credits at the generation's deadline.
                raise Unavailable(f"The {NAMES[self.of]} cannot be checked at the moment.")
            return
        category = self.policy.gravest(found)
        if category:
            count("ModerationRefused", of=self.of, category=category, by=by)
            raise OutputWithheld(category)
