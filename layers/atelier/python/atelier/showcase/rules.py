"""The rules of the showcase, as data: how a price is split, when a purchase can be refunded, licences, reasons."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from atelier.dataclass import dataclass

PRICE_CREDITS_MAX = 100_000
TAGS_MAX = 10
# What the platform keeps of a price, in percent, rounded down.
FEE_PERCENT = 10
# What those get whose work was bought and made into this, by generation: the first is what it was made of directly.
# Each generation's percentage is shared by its ancestors in equal parts, rounded down. The rest is the creator's.
ROYALTY_PERCENT_BY_GENERATION = (10, 5, 2)
# Further ancestors, in the order in which they are found, get nothing.
ANCESTORS_MAX = 10
# A purchase is refunded within this time, unless its content was collected; and once for each listing and workspace.
REFUND_WITHIN = timedelta(hours=24)
# So many people have to report a listing until it is hidden and reviewed.
REPORTS_THAT_HIDE = 3
# How often whoever publishes may ask for another decision.
APPEALS_MAX = 1
FOLLOWS_MAX = 50
# Of a listing this many words are found by a search, those of its title and tags first; a search has this many words.
WORDS_MAX, SEARCH_WORDS_MAX = 40, 5
# A page of a search looks at this many listings; there may be more behind it.
SEARCHED_MAX = 200
# What is popular: after this time a like or a sale counts half. A sale counts as so many likes.
HALF_LIFE = timedelta(days=3)
LIKES_PER_SALE = 5


@dataclass(frozen=True, slots=True)
class Licence:
    """What whoever gets a work may do with it. url: where the whole text is; empty = in docs/showcase.md."""

    name: str
    url: str
    allows_remix: bool
    allows_commercial_use: bool


LICENCES: Mapping[str, Licence] = {
    "standard": Licence("Standard: use and change it, also commercially; do not sell it as it is", "", True, True),
    "personal": Licence("Personal: use it for yourself; publish nothing that was made from it", "", False, False),
    "cc-by-4.0": Licence("Attribution 4.0", "https://creativecommons.org/licenses/by/4.0/", True, True),
    "cc-by-nc-4.0": Licence(
        "Attribution, not commercial 4.0", "https://creativecommons.org/licenses/by-nc/4.0/", True, False
    ),
    "cc0-1.0": Licence("No rights reserved", "https://creativecommons.org/publicdomain/zero/1.0/", True, True),
}

REPORT_REASONS = ("copyright", "illegal", "hate", "sexual", "violence", "person", "spam", "other")
