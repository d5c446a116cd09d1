"""The files of sites in a bucket. All keys of a workspace begin with its id:

wsp_…/files/sit_…/<sha256>            one file of a site, whichever deployments show it
wsp_…/variants/sit_…/<sha256>.json    which sizes of an image of the library are files of the site
wsp_…/published/dep_….json            what a deployment renders
wsp_…/manifests/dep_….json            the files of a deployment
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

from atelier.adapters.aws.clients import client, session
from atelier.deployments.model import SiteFile, SiteManifest
from atelier.deployments.render.files import SiteAsset
from atelier.errors import NotFound, Unavailable
from atelier.sites.model import PublishedSite

ADDRESS_LIFETIME = timedelta(minutes=15)
# The most that S3 takes in one request.
DELETED_TOGETHER = 1000
ValueT = TypeVar("ValueT")


class S3SiteFiles:
    """SiteFiles on a bucket. endpoint_url: base URL of S3 if it is not the public one."""

    def __init__(self, bucket: str, *, region: str, endpoint_url: str = "") -> None:
        self._bucket = bucket
        self._region = region
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        self._url = f"{endpoint_url}/{bucket}" if endpoint_url else f"https://{bucket}.s3.{region}.{suffix}"

    def published(self, workspace_id: str, deployment_id: str) -> PublishedSite | None:
        return self._read(f"{workspace_id}/published/{deployment_id}.json", PublishedSite)

    def keep_published(self, workspace_id: str, deployment_id: str, published: PublishedSite) -> PublishedSite:
        from botocore.exceptions import ClientError

        key, body = f"{workspace_id}/published/{deployment_id}.json", _codec(PublishedSite).dump_json(published)
        try:
            client("s3").put_object(
                Bucket=self._bucket, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
            )
        except ClientError as error:
            # Another run has kept one first.
            if error.response.get("Error", {}).get("Code") not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
        return self._read(key, PublishedSite) or published

    def stored(self, workspace_id: str, site_id: str) -> set[str]:
        prefix = f"{workspace_id}/files/{site_id}/"
        return {key.removeprefix(prefix) for key in self._keys(prefix)}

    def put(self, workspace_id: str, site_id: str, sha256: str, body: bytes, content_type: str) -> None:
        key = f"{workspace_id}/files/{site_id}/{sha256}"
        client("s3").put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)

    def read(self, workspace_id: str, site_id: str, sha256: str) -> bytes:
        found = self._bytes(f"{workspace_id}/files/{site_id}/{sha256}")
        if found is None:
            raise NotFound
        return found

    def remove(self, workspace_id: str, site_id: str, hashes: Collection[str]) -> None:
        variants = f"{workspace_id}/variants/{site_id}/"
        for key in self._keys(variants):
            known = self._read(key, SiteAsset)
            if known is not None and any(each.digest.sha256 in hashes for each in known.variants):
                self._delete([key])
        self._delete([f"{workspace_id}/files/{site_id}/{sha256}" for sha256 in sorted(hashes)])

    def remove_lists(self, workspace_id: str, deployment_id: str) -> None:
        self._delete([f"{workspace_id}/{kind}/{deployment_id}.json" for kind in ("published", "manifests")])

    def address(self, workspace_id: str, site_id: str, file: SiteFile) -> str:
        from botocore.auth import S3SigV4QueryAuth
        from botocore.awsrequest import AWSRequest

        request = AWSRequest("GET", f"{self._url}/{workspace_id}/files/{site_id}/{file.sha256}")
        credentials = session().get_credentials()
        assert credentials is not None, "a function has a role"
        seconds = int(ADDRESS_LIFETIME.total_seconds())
        S3SigV4QueryAuth(credentials, "s3", self._region, expires=seconds).add_auth(request)
        return str(request.url)

    def put_manifest(self, workspace_id: str, manifest: SiteManifest) -> None:
        self._write(f"{workspace_id}/manifests/{manifest.deployment_id}.json", manifest, SiteManifest)

    def manifest(self, workspace_id: str, deployment_id: str) -> SiteManifest:
        found = self._read(f"{workspace_id}/manifests/{deployment_id}.json", SiteManifest)
        if found is None:
            raise NotFound
        return found

    def variants(self, workspace_id: str, site_id: str, sha256: str) -> SiteAsset | None:
        """The sizes of a file of the library that are files of a site."""
        return self._read(f"{workspace_id}/variants/{site_id}/{sha256}.json", SiteAsset)

    def keep_variants(self, workspace_id: str, site_id: str, sha256: str, asset: SiteAsset) -> None:
        """Remember the sizes of a file of the library, which are files of a site by now."""
        self._write(f"{workspace_id}/variants/{site_id}/{sha256}.json", asset, SiteAsset)

    def _keys(self, prefix: str) -> Iterator[str]:
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return (each["Key"] for page in pages for each in page.get("Contents", ()))

    def _delete(self, keys: Sequence[str]) -> None:
        for at in range(0, len(keys), DELETED_TOGETHER):
            together = [{"Key": key} for key in keys[at : at + DELETED_TOGETHER]]
            answer = client("s3").delete_objects(Bucket=self._bucket, Delete={"Objects": together, "Quiet": True})
            if answer.get("Errors"):
                raise Unavailable("Some files could not be removed.")

    def _write(self, key: str, value: ValueT, kind: type[ValueT]) -> None:
        body = _codec(kind).dump_json(value)
        client("s3").put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")

    def _read(self, key: str, kind: type[ValueT]) -> ValueT | None:
        found = self._bytes(key)
        return None if found is None else _codec(kind).validate_json(found)

    def _bytes(self, key: str) -> bytes | None:
        s3 = client("s3")
        try:
            body: bytes = s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            return None
        return body


@cache
def _codec(kind: type[ValueT]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
