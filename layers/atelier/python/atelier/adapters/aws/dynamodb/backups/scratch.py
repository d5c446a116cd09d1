"""Scratch tables: the tables of a backup, loaded by `ImportTable`, read, and removed again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from atelier.adapters.aws.clients import client
from atelier.backups.drill_ports import LoadRefused, ScratchTaken
from atelier.backups.lines import RawItem
from atelier.backups.manifest import ManifestTable

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

GONE, IN_USE = "ResourceNotFoundException", "ResourceInUseException"


class DynamoScratchTables:
    """ScratchTables on DynamoDB. bucket: of backups. page: further arguments of each scan."""

    def __init__(self, bucket: str, page: Mapping[str, Any] | None = None) -> None:
        self._bucket, self._page = bucket, page or {}

    def load(self, name: str, prefix: str, table: ManifestTable) -> str:
        from botocore.exceptions import ClientError

        settings = table.settings
        creation: dict[str, Any] = {
            "TableName": name,
            # Only keys: what is looked at needs no index, and each one would be paid for.
            "KeySchema": settings.key_schema,
            "AttributeDefinitions": _of_keys(table),
            "BillingMode": "PAY_PER_REQUEST",
        }
        try:
            started = client("dynamodb").import_table(
                ClientToken=name[-64:],
                S3BucketSource={"S3Bucket": self._bucket, "S3KeyPrefix": prefix + table.prefix},
                InputFormat="DYNAMODB_JSON",
                InputCompressionType="GZIP",
                TableCreationParameters=creation,
            )
        except ClientError as error:
            if _code(error) == IN_USE:
                raise ScratchTaken(name) from error
            if _code(error) in ("ValidationException", "ImportConflictException"):
                raise LoadRefused(str(error)) from error
            raise
        return str(started["ImportTableDescription"]["ImportArn"])

    def has_ended(self, handle: str) -> bool:
        found = client("dynamodb").describe_import(ImportArn=handle)["ImportTableDescription"]
        if found["ImportStatus"] == "IN_PROGRESS":
            return False
        if found["ImportStatus"] != "COMPLETED":
            raise LoadRefused(f"{found.get('FailureCode')}: {found.get('FailureMessage')}")
        return True

    def page(self, name: str, after: str | None) -> tuple[Sequence[RawItem], str | None]:
        start = {"ExclusiveStartKey": json.loads(after)} if after else {}
        page = client("dynamodb").scan(TableName=name, **self._page, **start)
        last = page.get("LastEvaluatedKey")
        return cast("list[RawItem]", page["Items"]), json.dumps(last) if last else None

    def partition(self, name: str, owner: str) -> Iterator[RawItem]:
        pages = client("dynamodb").get_paginator("query")
        for page in pages.paginate(TableName=name, **_of_owner(owner)):
            yield from cast("list[RawItem]", page["Items"])

    def after_partition(self, name: str, owner: str, last_key: str) -> str:
        return json.dumps({"pk": {"S": owner}, "sk": {"S": last_key}})

    def has(self, name: str, owner: str) -> bool:
        found = client("dynamodb").query(TableName=name, Limit=1, **_of_owner(owner))
        return bool(found["Items"])

    def remove(self, name: str) -> bool:
        from botocore.exceptions import ClientError

        try:
            client("dynamodb").delete_table(TableName=name)
        except ClientError as error:
            if _code(error) == IN_USE:
                # It is still being loaded, or it is being removed already.
                return self._is_being_removed(name)
            if _code(error) != GONE:
                raise
        return True

    @staticmethod
    def _is_being_removed(name: str) -> bool:
        from botocore.exceptions import ClientError

        try:
            found = client("dynamodb").describe_table(TableName=name)["Table"]
        except ClientError as error:
            if _code(error) != GONE:
                raise
            return True
        return bool(found["TableStatus"] == "DELETING")


def _of_keys(table: ManifestTable) -> list[dict[str, str]]:
    keys = {each["AttributeName"] for each in table.settings.key_schema}
    return [each for each in table.settings.attributes if each["AttributeName"] in keys]


def _of_owner(owner: str) -> dict[str, Any]:
    return {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": owner}}}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))
