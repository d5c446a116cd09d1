"""The request and response models of external logins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from atelier.identity.credentials import PASSWORD_LENGTH_MAX, normalize_password
from atelier.identity.model import SignInResult
from atelier.identity.oauth.exchange import LinkRequired
from atelier.identity.oauth.linked_login_schemas import LinkedLoginView
from atelier.identity.oauth.model import SECRET_PATTERN
from atelier.identity.oauth.redirect_target import TARGET_CHARACTERS_MAX
from atelier.identity.refresh_cookie import cookies_of
from atelier.identity.schemas import Delivery, SignInView, sign_in_view
from atelier.lazy_model import LazyModel

# What providers send is bounded, and not interpreted; Google's codes have up to 256 bytes. All of it fits into a URL.
CODE_CHARACTERS_MAX = 512
PARAMETER_CHARACTERS_MAX = 255

Secret = Annotated[str, Field(max_length=200)]
RedirectTo = Annotated[
    str,
    Field(
        max_length=TARGET_CHARACTERS_MAX,
        description="Where the browser goes afterwards: a path of this deployment, or a page of one of its frontends.",
        examples=["/oauth/callback"],
    ),
]
Challenge = Annotated[
    str,
    Field(
        pattern=f"^{SECRET_PATTERN}$",
        description="S256 challenge (RFC 7636) of a `verifier` that the exchange then wants in place of the cookie: for"
        " frontends on another site, whose calls carry no cookie.",
    ),
]
Verifier = Annotated[str, Field(min_length=43, max_length=128)]


class StartQuery(LazyModel):
    """Begin to sign in."""

    model_config = ConfigDict(extra="ignore")

    redirect_to: RedirectTo = "/"
    challenge: Challenge | None = None


class CallbackQuery(LazyModel):
    """What the identity provider sends the browser back with."""

    model_config = ConfigDict(extra="ignore")

    state: Secret = Field(default="", repr=False)
    code: Annotated[str, Field(max_length=CODE_CHARACTERS_MAX)] | None = Field(default=None, repr=False)
    error: Annotated[str, Field(max_length=PARAMETER_CHARACTERS_MAX)] | None = None
    iss: Annotated[str, Field(max_length=PARAMETER_CHARACTERS_MAX)] | None = None


class ExchangeRequest(LazyModel):
    """Exchange the code of a callback for a session."""

    model_config = ConfigDict(extra="forbid")

    code: Secret = Field(repr=False)
    verifier: Verifier | None = Field(default=None, repr=False)
    token_delivery: Delivery = "cookie"


class LinkByPasswordRequest(LazyModel):
    """Link a login to the account with its e-mail address, by that account's password."""

    model_config = ConfigDict(extra="forbid")

    link_ticket: Secret = Field(repr=False)
    password: Annotated[
        str, Field(min_length=1, max_length=PASSWORD_LENGTH_MAX), AfterValidator(normalize_password)
    ] = Field(repr=False)
    token_delivery: Delivery = "cookie"


class MailLinkRequest(LazyModel):
    """Ask for a mail with a link that links the login of a ticket."""

    model_config = ConfigDict(extra="forbid")

    link_ticket: Secret = Field(repr=False)


class ConfirmLinkRequest(LazyModel):
    """Link a login by the token of a mail, in the browser that began: its cookie shows it, or the ticket does."""

    model_config = ConfigDict(extra="forbid")

    token: Secret = Field(repr=False)
    link_ticket: Secret | None = Field(default=None, repr=False)
    token_delivery: Delivery = "cookie"


class StartLinkRequest(LazyModel):
    """Begin to link a login to your own account."""

    model_config = ConfigDict(extra="forbid")

    redirect_to: RedirectTo = "/"
    challenge: Challenge | None = None


class CompleteLinkRequest(LazyModel):
    """Link a login to your own account: that of a callback which you began, that of a ticket for your account, or that
    of a mail's link, in the browser that began."""

    model_config = ConfigDict(extra="forbid")

    code: Secret | None = Field(default=None, repr=False)
    link_ticket: Secret | None = Field(default=None, repr=False, description="In place of `code`.")
    token: Secret | None = Field(default=None, repr=False, description="In place of `code`: that of a mail's link.")
    verifier: Verifier | None = Field(default=None, repr=False)


class IdentityProviderView(LazyModel):
    """An identity provider that this deployment offers."""

    id: Literal["google", "github"]
    name: str


class IdentityProvidersView(LazyModel):
    """The identity providers that this deployment offers, in the order in which to show them."""

    providers: list[IdentityProviderView]


class StartedLinkView(LazyModel):
    """Where to send the browser, which must be the one that made this call."""

    url: str


class LinkRequiredView(LazyModel):
    """The login's e-mail address has an account, which is linked once its owner has proved it."""

    link_required: Literal[True] = True
    link_ticket: str = Field(repr=False, description="For half an hour; use it with the account's password.")
    provider: Literal["google", "github"]
    email: str
    has_password: bool = Field(description="Whether the account has a password at all.")
    by_mail: bool = Field(description="Whether a link in a mail can be asked for.")


class LinkedLoginList(LazyModel):
    """The logins that open your account, one of each provider at most."""

    items: list[LinkedLoginView]


def providers_view(providers: Sequence[tuple[str, str]]) -> IdentityProvidersView:
    """The response model of the enabled providers."""
    return IdentityProvidersView.model_validate({"providers": [{"id": id, "name": name} for id, name in providers]})


def exchanged_view(result: SignInResult | LinkRequired, delivery: str) -> SignInView | LinkRequiredView:
    """The response to an exchange."""
    if not isinstance(result, LinkRequired):
        return sign_in_view(result, delivery)
    return LinkRequiredView.model_validate(
        {
            "link_ticket": result.ticket,
            "provider": result.provider,
            "email": result.email,
            "has_password": result.has_password,
            "by_mail": result.by_mail,
        }
    )


def session_cookies(result: SignInResult | LinkRequired, delivery: str) -> tuple[str, ...]:
    """The Set-Cookie values that belong to the response to an exchange."""
    return () if isinstance(result, LinkRequired) else cookies_of(result, delivery)
