"""`/v1`, composed: the dependencies of serving a request in OpenAI's form."""

from __future__ import annotations

from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING

from atelier.adapters.media.keys import CONTENT_TYPES, media_key
from atelier.catalogue.catalogue import CatalogueData
from atelier.catalogue.schemas import ModelList
from atelier.clock import system_clock
from atelier.generations.ports import GenerationStore
from atelier.identity.rate_limit import SparseLimiter
from atelier.openai_api.deps import ServeDeps
from atelier.settings import Deployment, MediaBucket, RequestsTable
from atelier.wiring import auth, generation_requests, generations, library, media_urls, waiting
from atelier.wiring.models import list_models
from atelier.wiring.sunsets import routing_catalogue

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.sdk_retries import DynamoSdkRetries
    from atelier.adapters.aws.s3 import MediaStore as S3MediaStore
    from atelier.adapters.media.fetch import Fetcher
    from atelier.openai_api.ports import ImageAssets

# The largest file that is read into a response, in bytes.
FILE_BYTES_MAX = 50 * 1024 * 1024


def serve_deps(now: datetime) -> ServeDeps:
    """The dependencies of serving a request, with the catalogue and the routes of this moment."""
    return ServeDeps(
        create=generation_requests.create_deps(now),
        sdk_retries=_sdk_retries(),
        limiter=limiter(),
        models=partial(model_list, now=now),
        outside_request=waiting.bounded_outside_request,
        images=_images,
        image_source=_image_source,
        read_file=_read_file,
        store_body=_store_body,
        content_types=CONTENT_TYPES,
        asset_urls=media_urls.asset_urls,
        signed_path=media_urls.signed_url,
        public_url=Deployment.read().public_url,
        clock=system_clock,
    )


def limiter() -> SparseLimiter:
    """The limiter of requests, whose state the response headers tell."""
    return auth.limiter()


def model_list(workspace_id: str, now: datetime) -> ModelList:
    """The models that a workspace can use."""
    return list_models(workspace_id, None, now)


def catalogue_data(now: datetime) -> CatalogueData:
    """The catalogue in which names of models are looked up."""
    return routing_catalogue(now).data


def store() -> GenerationStore:
    """The generations of this deployment."""
    return generations.store()


def deleted_assets(workspace_id: str, asset_ids: list[str]) -> frozenset[str]:
    """Those of these assets that were deleted from the library."""
    return library.assets().deleted(workspace_id, asset_ids)


def _images() -> ImageAssets:
    # Imported here, because few requests contain images.
    from atelier.wiring import uploads

    return uploads.keep


def _image_source() -> Fetcher:
    from atelier.adapters.media.fetch import Fetcher

    return Fetcher()


def _read_file(workspace_id: str, sha256: str, format: str) -> bytes:
    return _media().get(media_key(workspace_id, sha256, format), FILE_BYTES_MAX)


def _store_body(key: str, body: bytes, content_type: str) -> None:
    _media().put(key, body, content_type)


@cache
def _media() -> S3MediaStore:
    from atelier.adapters.aws.s3 import MediaStore as S3MediaStore

    return S3MediaStore(MediaBucket.read().bucket)


@cache
def _sdk_retries() -> DynamoSdkRetries:
    from atelier.adapters.aws.dynamodb.sdk_retries import DynamoSdkRetries

    DynamoSdkRetries.bind(RequestsTable.read().name)
    return DynamoSdkRetries()
