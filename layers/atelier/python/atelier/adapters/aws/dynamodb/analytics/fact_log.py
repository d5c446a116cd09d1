"""FactLog on DynamoDB."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from atelier.adapters.aws.dynamodb import ConditionsFailed, retry_conflicts, transaction
from atelier.adapters.aws.dynamodb.analytics.items import (
    ReceiptItem,
    RowItem,
    changed_hour,
    receipt_key,
    receipt_prefix,
    row_key,
)
from atelier.adapters.aws.dynamodb.analytics.row_counts import additions
from atelier.analytics.model import DIGEST_BYTES, Counts, Row
from atelier.analytics.ports import ReceiptTaken

CONFLICTS_MAX = 20


class DynamoFactLog:
    """FactLog on DynamoDB."""

    def counted(self, workspace_id: str, window: datetime) -> list[frozenset[bytes]]:
        found = ReceiptItem.query(workspace_id, ReceiptItem.sk.startswith(receipt_prefix(window)), consistent_read=True)
        return [_digests(item.facts) for item in found]

    def count(
        self,
        workspace_id: str,
        receipts: Mapping[tuple[datetime, int], Collection[bytes]],
        counts: Mapping[Row, Counts],
    ) -> None:
        def write_all() -> None:
            with transaction() as write:
                for (window, number), digests in receipts.items():
                    receipt = ReceiptItem(workspace_id, receipt_key(window, number), facts=b"".join(digests))
                    write.save(receipt, ReceiptItem.pk.does_not_exist(), part="receipt")
                for row, of_row in counts.items():
                    # What changes a row to and fro leaves nothing to add.
                    if actions := additions(of_row):
                        write.update(RowItem(workspace_id, row_key(row)), actions)
                for dataset, hour in sorted({(row.dataset, row.hour) for row in counts}):
                    write.save(changed_hour(workspace_id, dataset, hour))

        try:
            retry_conflicts(write_all, busy="The sums are busy. Try again.", tries_max=CONFLICTS_MAX)
        except ConditionsFailed as error:
            raise ReceiptTaken from error


def _digests(joined: bytes) -> frozenset[bytes]:
    return frozenset(joined[place : place + DIGEST_BYTES] for place in range(0, len(joined), DIGEST_BYTES))
