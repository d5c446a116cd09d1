"""Uploads over HTTP: a file is announced, sent to the bucket, and then checked."""

from __future__ import annotations

from functools import partial

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.library.schemas import AssetEnvelope
from atelier.library.upload_schemas import UploadEnvelope, UploadRequest
from atelier.wiring import auth, library, uploads

api = Api("uploads", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
create = partial(api.route, "POST", permission="assets.create")


@create("/api/assets/uploads", body=UploadRequest, answer=UploadEnvelope, statuses=(201,), errors=(503,))
def begin_upload(request: Request[UploadRequest]) -> Response:
    """Begin an upload: announce a file, and get the form to send it with."""
    begun, replayed = uploads.begin(request.caller, request.body, request.idempotency_key, request.now)
    headers = {"Location": f"/api/assets/{begun.asset.id}"} | ({"Idempotent-Replayed": "true"} if replayed else {})
    return Response(begun, status=201, headers=headers)


@create("/api/assets/<asset_id>/complete", answer=AssetEnvelope, errors=(404, 409, 503))
def complete_upload(request: Request[Empty]) -> Response:
    """Complete an upload after the file was sent: the file is checked and becomes an asset."""
    asset = uploads.complete(request.caller.workspace_id, request.path_id("asset_id", "ast"), request.now)
    return Response(AssetEnvelope(asset=library.view(asset, request.now)))
