"""/api/auth: what users do with their address and password, by links and codes in their mails. Routes without a
permission are those that a link opens; nobody has to be signed in there."""

from __future__ import annotations

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.identity.authenticate import optional_bearer_token
from atelier.identity.oauth.linked_login_schemas import PasswordResetView, linked_login_view
from atelier.identity.schemas import (
    ByLinkRequest,
    ChangeEmailRequest,
    ChangePasswordRequest,
    ForgotPasswordRequest,
    ResetPasswordRequest,
    UndoEmailChangeRequest,
    VerifiedEmailView,
    verified_email_view,
)
from atelier.wiring import mailbox
from atelier.wiring.auth import gate, limiter

api = Api("auth", gate=gate, limiter=limiter)
handler = api.handler


@api.route("POST", "/api/auth/verify-email", body=ByLinkRequest, answer=VerifiedEmailView, errors=(401,))
def verify_email(request: Request[ByLinkRequest]) -> Response:
    """Verify an e-mail address by the link or the code that was sent to it; the code needs an access token."""
    body = request.body
    user = mailbox.verify(body.token, body.code, _access_token(request), request.origin, request.now)
    return Response(verified_email_view(user))


@api.route("POST", "/api/auth/verify-email/resend", permission="account.manage", statuses=(202,), errors=(409,))
def send_verification(request: Request[Empty]) -> Response:
    """Send the mail that verifies the caller's address again; its link and code replace the earlier ones."""
    mailbox.send_verification_again(request.caller, request.source_address, request.now)
    return Response(status=202)


@api.route("POST", "/api/auth/forgot-password", body=ForgotPasswordRequest, statuses=(202,))
def forgot_password(request: Request[ForgotPasswordRequest]) -> Response:
    """Send a link that sets a new password. The response does not tell whether the address has an account."""
    mailbox.forgot(request.body.email, request.source_address, request.now)
    return Response(status=202)


@api.route("POST", "/api/auth/reset-password", body=ResetPasswordRequest, answer=PasswordResetView, errors=(409,))
def reset_password(request: Request[ResetPasswordRequest]) -> Response:
    """Set a new password by the link of a mail, and end all sessions. API tokens and linked logins stay valid."""
    logins = mailbox.reset(request.body.token, request.body.password, request.origin, request.now)
    return Response(PasswordResetView(identities=[linked_login_view(login) for login in logins]))


@api.route(
    "POST",
    "/api/auth/change-password",
    permission="account.manage",
    body=ChangePasswordRequest,
    statuses=(204,),
    errors=(409,),
    step_up=True,
)
def change_password(request: Request[ChangePasswordRequest]) -> Response:
    """Change the password, and end all other sessions."""
    body = request.body
    mailbox.change_own_password(request.caller, body.current, body.new, request.origin, request.now)
    return Response(status=204)


@api.route(
    "POST",
    "/api/auth/change-email",
    permission="account.manage",
    body=ChangeEmailRequest,
    statuses=(202,),
    errors=(409,),
    step_up="always",
)
def change_email(request: Request[ChangeEmailRequest]) -> Response:
    """Send a link to a new address; the account has it once the link is opened."""
    mailbox.change_own_email(request.caller, request.body.email, request.origin, request.now)
    return Response(status=202)


@api.route(
    "POST", "/api/auth/change-email/confirm", body=ByLinkRequest, answer=VerifiedEmailView, errors=(401, 404, 409)
)
def confirm_email(request: Request[ByLinkRequest]) -> Response:
    """Move the account to the address that the link or the code was sent to; the code needs an access token."""
    body = request.body
    user = mailbox.confirm_email(body.token, body.code, _access_token(request), request.origin, request.now)
    return Response(verified_email_view(user))


@api.route(
    "POST", "/api/auth/change-email/undo", body=UndoEmailChangeRequest, answer=VerifiedEmailView, errors=(404, 409)
)
def undo_email_change(request: Request[UndoEmailChangeRequest]) -> Response:
    """Give the account its old address back, within 72 hours, and end all sessions."""
    user = mailbox.undo_email(request.body.token, request.origin, request.now)
    return Response(verified_email_view(user))


def _access_token(request: Request[ByLinkRequest]) -> str | None:
    return optional_bearer_token(request.headers.get("authorization", ""))
