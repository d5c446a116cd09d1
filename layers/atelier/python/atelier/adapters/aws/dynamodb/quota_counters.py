"""Records of tables' streams (DynamoDB JSON, as Lambda delivers them), as the quotas whose counters have changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from atelier.adapters.aws.dynamodb.api_calls import CALLS_PREFIX
from atelier.adapters.aws.dynamodb.identity.items import PROFILE
from atelier.adapters.aws.dynamodb.ledger.items import WALLET
from atelier.adapters.aws.dynamodb.usage import PROJECTS, STORAGE, usage_key
from atelier.catalogue.quotas import QuotaName

# The sort key of a counter beside its workspace's other items, and the attribute that counts.
COUNTERS: Mapping[str, tuple[str, QuotaName]] = {
    WALLET: ("delivered_bytes", "storage_bytes"),
    usage_key(STORAGE): ("used", "storage_bytes"),
    usage_key(PROJECTS): ("used", "projects"),
    PROFILE: ("members", "members"),
}


def counted(records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, QuotaName]]:
    """The workspace and the quota of each counter that has grown. A record has the new image, and with the old one,
    where the table's stream has it, what has not grown is left out."""
    for record in records:
        pk, sk = (record["dynamodb"]["Keys"][name]["S"] for name in ("pk", "sk"))
        if pk.startswith(CALLS_PREFIX):
            yield pk.removeprefix(CALLS_PREFIX), "api_calls"
        elif sk in COUNTERS and pk.startswith("wsp_"):
            attribute, quota = COUNTERS[sk]
            images = record["dynamodb"]
            # The first one reaches no threshold of a limit that has some: so a new workspace costs nothing here.
            if _number(images, "NewImage", attribute) > max(_number(images, "OldImage", attribute), 1):
                yield pk, quota


def _number(images: Mapping[str, Any], image: str, attribute: str) -> int:
    return int(images.get(image, {}).get(attribute, {}).get("N", 0))
