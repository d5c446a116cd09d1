"""The quotas of AWS that this deployment would meet first, with how much of them is used. Each is read by itself; where
one cannot be read, as on the embedded AWS, it is null with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from atelier.system_health.read_health import QuotaView, quota_view

LOOKED_BACK = timedelta(hours=1)
MINUTE = 60
# Quota codes of Service Quotas; the text is the unit. Throughput on demand is limited for each table.
TABLE_READS, TABLE_WRITES, GATEWAY_RATE = "L-CF0CBE56", "L-AB614373", "L-8A5B8E43"
# What is known of a quota: its limit and what is used of it.
Found = tuple[float | None, float | None]


class AwsQuotas:
    """Reads quotas. clients: by service. api_id: of the HTTP API."""

    def __init__(self, clients: Mapping[str, Any], api_id: str) -> None:
        self._clients, self._api_id = clients, api_id

    def read(self, tables: list[str], now: datetime) -> list[QuotaView]:
        """All quotas. tables: the names of the deployment's tables."""
        return [
            _quota("lambda-concurrency", "executions at the same time", lambda: self._concurrency(now)),
            *(
                _quota(
                    name,
                    "units a second in the busiest table",
                    lambda code=code, m=metric: self._table(code, m, tables, now),
                )
                for name, code, metric in (
                    ("dynamodb-table-reads", TABLE_READS, "ConsumedReadCapacityUnits"),
                    ("dynamodb-table-writes", TABLE_WRITES, "ConsumedWriteCapacityUnits"),
                )
            ),
            _quota("api-gateway-rate", "requests a second", lambda: self._gateway(now)),
            _quota("ses-sending", "mails in 24 hours", self._mails),
        ]

    def _concurrency(self, now: datetime) -> Found:
        limit = self._clients["lambda"].get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
        metric = _metric("AWS/Lambda", "ConcurrentExecutions")
        return float(limit), self._highest([metric], "Maximum", now)

    def _table(self, code: str, name: str, tables: list[str], now: datetime) -> Found:
        metrics = [_metric("AWS/DynamoDB", name, TableName=table) for table in tables]
        used = self._highest(metrics, "Sum", now)
        return self._limit("dynamodb", code), None if used is None else used / MINUTE

    def _gateway(self, now: datetime) -> Found:
        used = self._highest([_metric("AWS/ApiGateway", "Count", ApiId=self._api_id)], "Sum", now)
        return self._limit("apigateway", GATEWAY_RATE), None if used is None else used / MINUTE

    def _mails(self) -> Found:
        quota = self._clients["sesv2"].get_account()["SendQuota"]
        # -1 = without a limit.
        limit = float(quota["Max24HourSend"])
        return (limit if limit > 0 else None), float(quota["SentLast24Hours"])

    def _limit(self, service: str, code: str) -> float:
        found = self._clients["service-quotas"].get_service_quota(ServiceCode=service, QuotaCode=code)
        return float(found["Quota"]["Value"])

    def _highest(self, metrics: list[dict[str, Any]], statistic: str, now: datetime) -> float | None:
        """The highest value of a minute; None where CloudWatch has none."""
        queries = [
            {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": MINUTE, "Stat": statistic}}
            for number, metric in enumerate(metrics)
        ]
        answer = self._clients["cloudwatch"].get_metric_data(
            MetricDataQueries=queries, StartTime=now - LOOKED_BACK, EndTime=now
        )
        return max((value for each in answer["MetricDataResults"] for value in each["Values"]), default=None)


def _metric(namespace: str, name: str, **dimensions: str) -> dict[str, Any]:
    found = [{"Name": each, "Value": value} for each, value in dimensions.items()]
    return {"Namespace": namespace, "MetricName": name, "Dimensions": found}


def _quota(name: str, unit: str, read: Callable[[], Found]) -> QuotaView:
    try:
        limit, used = read()
    except ClientError as error:
        # The code alone: the text of an error names roles and accounts.
        return quota_view(name, unit, None, None, error.response.get("Error", {}).get("Code", "") or "refused")
    except (BotoCoreError, KeyError) as error:
        return quota_view(name, unit, None, None, type(error).__name__)
    lacks = [text for text, value in (("There is no limit.", limit), ("Nothing was measured.", used)) if value is None]
    return quota_view(name, unit, limit, used, " ".join(lacks) or None)
