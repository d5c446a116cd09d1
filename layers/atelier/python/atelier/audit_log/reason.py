"""The text that tells other people why something was done, as requests have it. Apart from other schemas, because many
contexts ask for one."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

REASON_CHARACTERS_MAX = 500
Reason = Annotated[
    str,
    AfterValidator(str.strip),
    Field(min_length=3, max_length=REASON_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$"),
]
