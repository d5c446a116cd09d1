"""Makes an alarm of a running local stack fire, as its runbook says: a drill of the way from the metric to the page.

    python -m infra.local.fire_alarm LedgerDrift [--data .local]

It writes the line that a function would log, sends a message to the queue, or starts an execution that fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.local.alarm_rules import metrics_of, period_of
from infra.local.deploy import Aws
from infra.local.expression_alarms import read_expression_alarms

ROOT = Path(__file__).resolve().parents[2]
HANDLES_FILE = "stack.json"
STREAM = "drill"
# Shares are of all requests, results or seals: so many bad ones are a large share of a busy stack's too.
MANY = 200
# For metrics that a filter makes of lines: the end of the metric's name → the line, and how often.
LINES: dict[str, tuple[dict[str, Any], int]] = {
    "error-lines": ({"level": "ERROR", "message": "drill"}, 5),
    "bad-submissions": (
        {"message": "request", "method": "POST", "route": "ANY /api/generate/{proxy+}", "status": 503},
        MANY,
    ),
    "late-results": ({"message": "finished", "status": "expired", "late": 1}, MANY),
    "late-seals": ({"message": "sealed", "movements": 1, "late": 1}, MANY),
}


class NoDrill(Exception):
    """There is no such alarm, or nothing makes it fire here; the text says which."""


def fire(alarm: Mapping[str, Any], aws: Aws, log_group: str, at: float) -> None:
    """Does once what makes an alarm, in the shape of DescribeAlarms, breach its threshold at `at` (seconds). Raises
    NoDrill."""
    if "Metrics" in alarm:
        if {metric.namespace for metric in metrics_of(alarm)} != {"AWS/ApiGateway"}:
            raise NoDrill("it fires by what does not happen; its runbook says how long that has to last")
        # The gateway's metrics are made of the lines of functions.
        line = {"message": "request", "method": "GET", "route": "ANY /api/assets", "status": 500}
        write_lines(aws, log_group, at, *[json.dumps(line, separators=(",", ":"))] * MANY)
        return
    dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    match alarm["Namespace"]:
        case "AWS/SQS":
            sqs = aws.client("sqs")
            url = sqs.get_queue_url(QueueName=dimensions["QueueName"])["QueueUrl"]
            sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"drill": True}))
        case "AWS/States":
            machine = dimensions["StateMachineArn"]
            aws.client("stepfunctions").start_execution(stateMachineArn=machine, input=json.dumps({"drill": True}))
        case "Atelier":
            write_lines(aws, log_group, at, *_lines_for(alarm, dimensions))
        case unknown:
            raise NoDrill(f"nothing here writes metrics of {unknown}")


def _lines_for(alarm: Mapping[str, Any], dimensions: Mapping[str, str]) -> list[str]:
    name, value = alarm["MetricName"], alarm["Threshold"] + 1
    for suffix, (line, times) in LINES.items():
        if name.endswith(suffix):
            # The same form as Powertools': without spaces, as the filter of errors wants it.
            return [json.dumps(line, separators=(",", ":"))] * times
    directive = {"Namespace": "Atelier", "Dimensions": [[*dimensions]], "Metrics": [{"Name": name}]}
    return [json.dumps({"_aws": {"CloudWatchMetrics": [directive]}, **dimensions, name: [value]})]


def write_lines(aws: Aws, group: str, at: float, *lines: str) -> None:
    """Write lines into the group of the functions' logs, as of a time."""
    logs = aws.client("logs")
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=STREAM)["logStreams"]
    if not streams:
        logs.create_log_stream(logGroupName=group, logStreamName=STREAM)
    events = [{"timestamp": int(at * 1000), "message": line} for line in lines]
    logs.put_log_events(logGroupName=group, logStreamName=STREAM, logEvents=events)


def main(arguments: list[str]) -> int:
    """Fires one alarm of the stack on a data folder; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("alarm", help="the alarm's name in infra/*.yaml, with or without `Alarm` at its end")
    parser.add_argument("--data", type=Path, default=Path(".local"))
    given = parser.parse_args(arguments)
    try:
        handles = json.loads((given.data / HANDLES_FILE).read_text("utf-8"))
        print(_fire_named(given.alarm, handles))
    except (NoDrill, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _find(wanted: set[str], resources: Mapping[str, str], aws: Aws) -> Mapping[str, Any] | None:
    """The alarm with one of these logical ids, in the shape of DescribeAlarms."""
    computing = read_expression_alarms(ROOT)
    for name in sorted(wanted):
        if name in computing:
            return computing[name]
        if name in resources:
            [alarm] = aws.client("cloudwatch").describe_alarms(AlarmNames=[resources[name]])["MetricAlarms"]
            return dict(alarm)
    return None


def _fire_named(name: str, handles: Mapping[str, Any]) -> str:
    resources: Mapping[str, str] = handles["resources"]
    wanted = {stack + name + end for stack in ("Observability", "Objectives") for end in ("", "Alarm")}
    aws = Aws(handles["endpoint"])
    alarm = _find(wanted, resources, aws)
    if alarm is None:
        raise NoDrill(f"this stack has no alarm {name}; see http://…/local/alarms")
    fire(alarm, aws, resources["Logs"], time.time())
    repeat = f" in each of {alarm['EvaluationPeriods']} periods of {period_of(alarm)} s" * (
        alarm["EvaluationPeriods"] > 1
    )
    return f"done; it fires within seconds{', if it is done' + repeat if repeat else ''}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
