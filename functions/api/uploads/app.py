"""Uploads over HTTP: a file is said, sent to the bucket, and found good."""

from __future__ import annotations

from functools import partial

from atelier.http import Answer, Api, Nothing, Request
from atelier.library.contract import AssetEnvelope
from atelier.library.upload_contract import UploadEnvelope, UploadRequest
from atelier.wiring import admission, library, uploads

api = Api("uploads", gate=admission.gate, limiter=admission.limiter)
handler = api.handler
create = partial(api.route, "POST", permission="assets.create")


@create("/api/assets/uploads", body=UploadRequest, answer=UploadEnvelope, statuses=(201,), errors=(503,))
def begin_upload(request: Request[UploadRequest]) -> Answer:
    """Say which file is to come, and get the form that it is sent with."""
    begun, replayed = uploads.begin(request.caller, request.body, request.idempotency_key, request.now)
    headers = {"Location": f"/api/assets/{begun.asset.id}"} | ({"Idempotent-Replayed": "true"} if replayed else {})
    return Answer(begun, status=201, headers=headers)


@create("/api/assets/<asset_id>/complete", answer=AssetEnvelope, errors=(404, 409, 503))
def complete_upload(request: Request[Nothing]) -> Answer:
    """Say that the file has been sent: it is looked into, and is an asset from then on."""
    asset = uploads.complete(request.caller.workspace_id, request.id("asset_id", "ast"), request.now)
    return Answer(AssetEnvelope(asset=library.view(asset, request.now)))
