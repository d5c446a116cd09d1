"""The request and response models of a person's profile, and of deleting the account."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from atelier.identity.model import User
from atelier.identity.profile import ProfileChanges
from atelier.identity.schemas import Delivery, UserName, UserView
from atelier.lazy_model import LazyModel

TICKET_LENGTH_MAX = 256


def valid_time_zone(name: str) -> str:
    """A name of the IANA time zone database. Raises ValueError for any other text."""
    # Imported on first use: only who changes the time zone needs it.
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("is no time zone, such as Europe/Berlin") from error
    return name


class ProfileRequest(LazyModel):
    """Change the fields that the body names. Null removes the avatar, the language or the time zone."""

    model_config = ConfigDict(extra="forbid")

    name: UserName = Field(default="", description="What you are called.")
    avatar_asset_id: Annotated[str, Field(pattern=r"^ast_[0-7][0-9A-HJKMNP-TV-Z]{25}$")] | None = Field(
        default=None, description="An image of your personal workspace."
    )
    persona: Literal["artist", "educator", "partner", "none"] = "none"
    locale: Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | None = Field(
        default=None, description="A language tag (BCP 47): the language of mails.", examples=["de"]
    )
    time_zone: Annotated[str, Field(max_length=64), AfterValidator(valid_time_zone)] | None = Field(
        default=None, description="A name of the IANA database.", examples=["Europe/Berlin"]
    )

    @property
    def changes(self) -> ProfileChanges:
        """What is to be changed."""
        return ProfileChanges(**{name: getattr(self, name) or "" for name in self.model_fields_set})


class ProfileView(UserView):
    """A person's profile."""

    avatar_asset_id: str | None
    locale: str | None
    time_zone: str | None


class DeletionView(LazyModel):
    """The account will be erased when it is due. Until then, signing in leads to its restoration."""

    deletion_due_at: datetime


class RestoreRequest(LazyModel):
    """Take back the deletion of an account, and sign in."""

    model_config = ConfigDict(extra="forbid")

    restore_ticket: str = Field(max_length=TICKET_LENGTH_MAX, repr=False)
    token_delivery: Delivery = "cookie"


def profile_view(user: User) -> ProfileView:
    """The response model of a profile."""
    return ProfileView.model_validate(user, from_attributes=True)
