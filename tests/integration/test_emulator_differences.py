"""One test for each entry of infra/local/differences.py: the difference exists, or our workaround works."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local import saved_state, translate
from infra.local.deploy import Aws
from infra.local.differences import DIFFERENCES
from infra.local.emulator import Emulator, missing_packages
from infra.local.zygote import ABSENT_PACKAGES

ROOT = Path(__file__).parents[2]
WAIT_SECONDS_MAX = 20.0
TABLE = {
    "Type": "AWS::DynamoDB::Table",
    "Properties": {
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
    },
}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """The emulator as the local stack starts it, policies enforced."""
    emulator = Emulator(tmp_path_factory.mktemp("emulator"))
    emulator.start()
    try:
        yield Aws(emulator.endpoint)
    finally:
        emulator.stop()


def test_every_difference_has_a_test() -> None:
    assert [d.name for d in DIFFERENCES if not callable(globals().get(f"test_{d.name}"))] == []


# ---- deployment ------------------------------------------------------------------------------------------------------


def test_a_nested_stack_with_a_stream_output_cannot_be_updated(aws: Aws) -> None:
    child = {"Resources": {"T": TABLE}, "Outputs": {"Stream": {"Value": {"Fn::GetAtt": ["T", "StreamArn"]}}}}
    parent = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": stored(aws, "child.json", child)}}
    assert deployed(aws, "nesting", {"Child": parent}) == "CREATE_COMPLETE"

    child["Resources"]["Topic"] = {"Type": "AWS::SNS::Topic"}
    parent["Properties"]["TemplateURL"] = stored(aws, "changed.json", child)
    assert deployed(aws, "nesting", {"Child": parent}) == "UPDATE_ROLLBACK_FAILED"


def test_the_body_of_an_http_api_makes_no_routes(aws: Aws) -> None:
    operation = {
        "x-amazon-apigateway-integration": {"type": "aws_proxy", "uri": "arn:x", "payloadFormatVersion": "2.0"}
    }
    body = {"openapi": "3.0.1", "paths": {"/a": {"get": operation}}}
    deployed(aws, "api", {"Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": body}}})
    api = physical_id(aws, "api", "Api")
    assert aws.client("apigatewayv2").get_routes(ApiId=api)["Items"] == []


def test_cloudfront_keys_are_unknown_types(aws: Aws) -> None:
    with pytest.raises(ClientError, match="Unrecognized resource types"):
        deployed(aws, "keys", {"Key": {"Type": "AWS::CloudFront::PublicKey", "Properties": {}}})
    local = json.dumps(local_template())
    assert translate.LOCAL_KEY_PAIR_ID in local
    assert "AWS::CloudFront" not in local


def test_a_saved_query_is_an_unknown_type(aws: Aws) -> None:
    with pytest.raises(ClientError, match="Unrecognized resource types"):
        deployed(aws, "queries", {"Query": {"Type": "AWS::Athena::NamedQuery", "Properties": {}}})
    assert "AWS::Athena::WorkGroup" in json.dumps(local_template())
    assert "AWS::Athena::NamedQuery" not in json.dumps(local_template())


def test_athena_without_duckdb_answers_with_a_made_up_row() -> None:
    """`make run` says when a package is missing; test_day_files.py shows that the answers are real ones."""
    assert missing_packages() == []
    [note] = missing_packages({"no_such_package": "nothing works"})
    assert note == "the package no_such_package is missing: nothing works"


def test_alarms_do_not_support_metric_expressions(aws: Aws) -> None:
    sizes = {"Namespace": "N", "MetricName": "M"}
    metrics = [
        {"Id": "double", "Expression": "2 * single"},
        {"Id": "single", "ReturnData": False, "MetricStat": {"Metric": sizes, "Period": 60, "Stat": "Sum"}},
    ]
    limits = {"EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold"}
    alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": metrics, **limits}}
    assert deployed(aws, "alarms", {"Alarm": alarm}) == "ROLLBACK_COMPLETE"


def test_saved_log_queries_and_combined_alarms_are_unknown_types(aws: Aws) -> None:
    for kind in ("AWS::Logs::QueryDefinition", "AWS::CloudWatch::CompositeAlarm"):
        with pytest.raises(ClientError, match="Unrecognized resource types"):
            deployed(aws, "unknown", {"It": {"Type": kind, "Properties": {}}})
        assert kind not in json.dumps(local_template())


def test_lines_and_queues_make_no_metrics(aws: Aws) -> None:
    cloudwatch = aws.client("cloudwatch")
    before = [metric["MetricName"] for metric in cloudwatch.list_metrics()["Metrics"]]
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="lines")
    logs.create_log_stream(logGroupName="lines", logStreamName="one")
    transformation = {"metricName": "Filtered", "metricNamespace": "Lines", "metricValue": "1"}
    logs.put_metric_filter(
        logGroupName="lines", filterName="all", filterPattern="", metricTransformations=[transformation]
    )
    directive = {"Namespace": "Lines", "Dimensions": [[]], "Metrics": [{"Name": "Embedded"}]}
    line = json.dumps({"_aws": {"Timestamp": 1, "CloudWatchMetrics": [directive]}, "Embedded": 1})
    event = {"timestamp": int(time.time() * 1000), "message": line}
    logs.put_log_events(logGroupName="lines", logStreamName="one", logEvents=[event])
    queue = aws.client("sqs").create_queue(QueueName="metrics")["QueueUrl"]
    aws.client("sqs").send_message(QueueUrl=queue, MessageBody="x")
    assert [metric["MetricName"] for metric in cloudwatch.list_metrics()["Metrics"]] == before


def test_a_subscription_wants_all_terms_of_its_pattern(aws: Aws) -> None:
    logs, queue = aws.client("logs"), aws.client("sqs").create_queue(QueueName="subscribed")["QueueUrl"]
    source = f"""
import base64, gzip, json, boto3
def handler(event, context):
    for each in json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))["logEvents"]:
        boto3.client("sqs", endpoint_url="{aws.endpoint}").send_message(QueueUrl="{queue}", MessageBody=each["message"])
"""
    function = aws.client("lambda").get_function(FunctionName=made(aws, source))["Configuration"]["FunctionArn"]
    logs.create_log_group(logGroupName="subscribed")
    logs.create_log_stream(logGroupName="subscribed", logStreamName="one")
    logs.put_subscription_filter(
        logGroupName="subscribed", filterName="any", filterPattern="?first ?second", destinationArn=function
    )
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": text} for text in ("first", "second", "first second")]
    logs.put_log_events(logGroupName="subscribed", logStreamName="one", logEvents=events)
    sqs = aws.client("sqs")
    until(
        lambda: (
            sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"][
                "ApproximateNumberOfMessages"
            ]
            != "0"
        )
    )
    [message] = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert message["Body"] == "first second"
    patterns = [
        each["Properties"]["FilterPattern"]
        for each in local_template()["Resources"].values()
        if each["Type"] == "AWS::Logs::SubscriptionFilter"
    ]
    assert patterns == [""]


def test_an_alarm_looks_at_all_dimensions_of_a_metric(aws: Aws) -> None:
    cloudwatch = aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="one-queue",
        Namespace="Dimensions",
        MetricName="Messages",
        Dimensions=[{"Name": "QueueName", "Value": "mine"}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    other = [{"Name": "QueueName", "Value": "another"}]
    datum = {"MetricName": "Messages", "Value": 1.0, "Dimensions": other}
    cloudwatch.put_metric_data(Namespace="Dimensions", MetricData=[datum])
    [alarm] = cloudwatch.describe_alarms(AlarmNames=["one-queue"])["MetricAlarms"]
    assert alarm["StateValue"] == "ALARM"


def test_reserved_concurrency_of_a_template_is_ignored(aws: Aws) -> None:
    code = {"ZipFile": "def handler(event, context): pass"}
    role = a_role(aws, "reserved")
    function = {
        "Code": code,
        "Handler": "index.handler",
        "Runtime": "python3.13",
        "Role": role,
    }
    resource = {"Type": "AWS::Lambda::Function", "Properties": {**function, "ReservedConcurrentExecutions": 1}}
    deployed(aws, "reserved", {"Function": resource})
    answer = aws.client("lambda").get_function_concurrency(FunctionName=physical_id(aws, "reserved", "Function"))
    assert "ReservedConcurrentExecutions" not in answer


def test_dependencies_come_from_the_emulators_environment(aws: Aws) -> None:
    where = made(aws, "import sys, pydantic\ndef handler(event, context): return [sys.prefix, pydantic.__file__]")
    prefix, module = invoked(aws, where)
    assert prefix == sys.prefix
    assert module.startswith(prefix)
    folders = {name: name for name in code_folders(local_template()) if "dependencies" not in name}
    ready = translate.with_artifacts(local_template(), folders, ROOT)
    layers = [r for r in ready["Resources"].values() if r["Type"] == "AWS::Lambda::LayerVersion"]
    assert {layer["Properties"]["LayerName"] for layer in layers} == {"AtelierLayer", "StudioLayer"}
    absent = {
        name: set(r["Properties"]["Environment"]["Variables"][ABSENT_PACKAGES].split(","))
        for name, r in ready["Resources"].items()
        if r["Type"] == "AWS::Lambda::Function"
    }
    assert {"PIL", "httpx", "jinja2", "markdown_it", "stripe"} <= absent["ApiCreditsFunction"]
    assert not {"botocore", "pydantic", "urllib3"} & absent["ApiCreditsFunction"]
    assert "stripe" not in absent["ApiBillingFunction"]
    assert {"botocore", "pydantic"} <= absent["StudioFunction"]
    assert not {"jinja2", "starlette"} & absent["StudioFunction"]


def test_deletion_policies_are_removed_from_the_local_template() -> None:
    assert "DeletionPolicy: Retain" in (ROOT / "infra/data.yaml").read_text()
    assert [name for name, r in local_template()["Resources"].items() if "DeletionPolicy" in r] == []


# ---- requests --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gateway(aws: Aws) -> Callable[..., tuple[int, Any]]:
    """Calls an HTTP API whose only function returns its event, or crashes at the path /crash."""
    function = made(
        aws,
        "import json\n"
        "def handler(event, context):\n"
        "    if event['rawPath'] == '/crash': raise RuntimeError('inner words')\n"
        "    return {'statusCode': 200, 'body': json.dumps(event)}",
    )
    apis = aws.client("apigatewayv2")
    arn = aws.client("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    api = apis.create_api(Name="echo", ProtocolType="HTTP", Target=arn)["ApiId"]
    integration = apis.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    apis.create_route(ApiId=api, RouteKey="$default", Target=f"integrations/{integration}")
    apis.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)

    def call(path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        url = f"{aws.endpoint}/_aws/execute-api/{api}/$default{path}"
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read() or b"null")

    return call


def test_cookies_are_left_in_their_header(gateway: Callable[..., tuple[int, Any]]) -> None:
    _, event = gateway("/", Cookie="a=1; b=2")
    assert "cookies" not in event
    assert event["headers"]["cookie"] == "a=1; b=2"


def test_a_lambda_crash_is_shown_to_the_caller(gateway: Callable[..., tuple[int, Any]]) -> None:
    status, answer = gateway("/crash")
    assert status == 502
    assert "inner words" in json.dumps(answer)


def test_a_compressed_text_body_is_corrupted(gateway: Callable[..., tuple[int, Any]]) -> None:
    said = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    _, event = gateway("/", "POST", gzip.compress(b"{}"), **said)
    assert not event["isBase64Encoded"]
    assert "\ufffd" in event["body"]


def test_options_is_answered_by_the_gateway(gateway: Callable[..., tuple[int, Any]]) -> None:
    status, _ = gateway("/", "OPTIONS")
    assert status == 403


def test_every_request_comes_from_loopback(gateway: Callable[..., tuple[int, Any]]) -> None:
    _, event = gateway("/", **{"X-Forwarded-For": "198.51.100.7"})
    assert event["requestContext"]["http"]["sourceIp"] == "127.0.0.1"


def test_a_refused_media_request_is_answered_in_json_by_the_edge(aws: Aws) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{aws.endpoint}/no-such-bucket/media/x.png", timeout=5)
    # The emulator answers XML as S3 does; test_local_edge.py shows that the edge turns it into JSON.
    assert refused.value.read().startswith(b"<?xml")


# ---- streams and workflows -------------------------------------------------------------------------------------------


def test_streams_do_not_repeat_single_records(aws: Aws, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    function = made(
        aws,
        "def handler(event, context):\n"
        "    numbers = [r['dynamodb']['SequenceNumber'] for r in event['Records']]\n"
        f"    with open({str(seen)!r}, 'a') as file: file.write(''.join(n + '\\n' for n in numbers))\n"
        "    return {'batchItemFailures': [{'itemIdentifier': numbers[0]}]}",
    )
    streamed_to(aws, function)
    dynamodb = aws.client("dynamodb")
    dynamodb.put_item(TableName="streamed", Item={"pk": {"S": "first"}})
    until(lambda: seen.exists() and len(seen.read_text().split()) == 1)
    dynamodb.put_item(TableName="streamed", Item={"pk": {"S": "second"}})
    until(lambda: len(seen.read_text().split()) >= 2)
    assert len(set(seen.read_text().split())) == 2, "the first record came again"


def test_a_failing_stream_batch_is_kept_until_it_is_too_old(aws: Aws, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    function = made(
        aws,
        "def handler(event, context):\n"
        f"    with open({str(seen)!r}, 'a') as file: file.write('x')\n"
        "    raise RuntimeError('no')",
    )
    url, arn = a_queue(aws, "too-old")
    streamed_to(
        aws,
        function,
        "failing",
        MaximumRetryAttempts=0,
        BisectBatchOnFunctionError=True,
        MaximumRecordAgeInSeconds=2,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )
    aws.client("dynamodb").put_item(TableName="failing", Item={"pk": {"S": "a"}})
    received = aws.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=int(WAIT_SECONDS_MAX))
    given_up = json.loads(received["Messages"][0]["Body"])
    assert given_up["requestContext"]["condition"] == "MaxRecordAgeExceeded"
    assert len(seen.read_text()) > 1, "it was repeated, although no retries are allowed"


def test_an_asynchronous_invocation_that_fails_goes_to_its_on_failure_queue(aws: Aws) -> None:
    # No difference: a schedule's failures are kept here as on AWS, and the template says it with the same resource.
    function = made(aws, "def handler(event, context): raise RuntimeError('no')")
    url, arn = a_queue(aws, "on-failure")
    settings = {"FunctionName": function, "Qualifier": "$LATEST", "MaximumRetryAttempts": 0}
    to_queue = {**settings, "DestinationConfig": {"OnFailure": {"Destination": arn}}}
    resource = {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": to_queue}
    assert deployed(aws, "on-failure", {"Settings": resource}) == "CREATE_COMPLETE"
    aws.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=b'{"due": true}')
    received = aws.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=int(WAIT_SECONDS_MAX))
    assert "due" in received["Messages"][0]["Body"]


def test_a_streams_batching_window_is_ignored(aws: Aws, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    function = made(aws, f"def handler(event, context): open({str(seen)!r}, 'a').write('x')")
    streamed_to(aws, function, "windowed", window_seconds=300)
    aws.client("dynamodb").put_item(TableName="windowed", Item={"pk": {"S": "a"}})
    until(seen.exists)


def test_a_failed_function_with_a_task_token_is_not_reported(aws: Aws) -> None:
    function = made(aws, "def handler(event, context): raise RuntimeError('no')")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": function, "Payload": {"token.$": "$$.Task.Token"}},
        "TimeoutSeconds": 1,
        "End": True,
    }
    assert executed(aws, "swallowing", task)["error"] == "States.Timeout"


def test_a_tasks_error_name_is_lost(aws: Aws) -> None:
    function = made(aws, "def handler(event, context): raise ValueError('no')")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function},
        "End": True,
    }
    assert executed(aws, "naming", task)["error"] == "Runtime.HandlerError"


def test_task_token_callbacks_need_permission_on_every_resource(aws: Aws) -> None:
    machine = "arn:aws:states:us-east-1:000000000000:stateMachine:some"
    assert answer_as(aws, "narrow", machine) == "AccessDeniedException"
    assert answer_as(aws, "wide", "*") == "TaskDoesNotExist"
    policies = [
        document
        for resource in local_template()["Resources"].values()
        if resource["Type"] in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy")
        for document in [resource["Properties"], *resource["Properties"].get("Policies", [])]
        if "PolicyDocument" in document
    ]
    wide = [s["Action"] for p in policies for s in p["PolicyDocument"]["Statement"] if s["Resource"] == "*"]
    wide = [[actions] if isinstance(actions, str) else actions for actions in wide]
    callbacks = [actions for actions in wide if not any(action.startswith(("logs:", "xray:")) for action in actions)]
    assert callbacks
    # What administrators see of the deployment is listed, on AWS too, without a resource.
    listings = {"cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData", "dynamodb:ListTables"}
    listings |= {"lambda:ListEventSourceMappings", "scheduler:ListSchedules", "lambda:GetAccountSettings"}
    listings |= {"ses:GetAccount"}
    assert {action for actions in callbacks for action in actions} - listings == {
        "states:SendTaskSuccess",
        "states:SendTaskFailure",
        "ses:SendEmail",
        "dynamodb:ImportTable",
        "dynamodb:DescribeImport",
    }


def test_a_mail_needs_permission_on_every_resource(aws: Aws) -> None:
    identity = "arn:aws:ses:us-east-1:000000000000:identity/*"
    assert send_as(aws, "sends-by-one", identity) == "AccessDeniedException"
    assert send_as(aws, "sends-by-all", "*") == "MessageRejected"


def send_as(aws: Aws, role: str, resource: str) -> str:
    """The error code when a role that may send mails by `resource` sends one from an address that is not verified."""
    text = {"Data": "x"}
    with pytest.raises(ClientError) as refused:
        client_as(aws, role, "sesv2", "ses:SendEmail", resource).send_email(
            FromEmailAddress="nobody@unverified.example",
            Destination={"ToAddresses": ["ada@example.com"]},
            Content={"Simple": {"Subject": text, "Body": {"Text": text}}},
        )
    return str(refused.value.response["Error"]["Code"])


def test_an_import_needs_permission_on_every_resource(aws: Aws) -> None:
    table = "arn:aws:dynamodb:us-east-1:000000000000:table/scratch-1"

    def describe_as(role: str, resource: str) -> str:
        with pytest.raises(ClientError) as refused:
            client_as(aws, role, "dynamodb", "dynamodb:DescribeImport", resource).describe_import(
                ImportArn=f"{table}/import/01"
            )
        return str(refused.value.response["Error"]["Code"])

    assert describe_as("imports-by-one", f"{table}/import/*") == "AccessDeniedException"
    assert describe_as("imports-by-all", "*") == "ImportNotFoundException"


def test_express_executions_are_standard_ones(aws: Aws) -> None:
    states = aws.client("stepfunctions")
    definition = json.dumps({"StartAt": "Only", "States": {"Only": {"Type": "Pass", "End": True}}})
    role = a_role(aws, "express")
    machine = states.create_state_machine(name="express", definition=definition, roleArn=role, type="EXPRESS")
    arn = machine["stateMachineArn"]
    assert states.describe_state_machine(stateMachineArn=arn)["type"] == "EXPRESS"
    execution = states.start_execution(stateMachineArn=arn, name="one")["executionArn"]
    until(lambda: states.describe_execution(executionArn=execution)["status"] == "SUCCEEDED")
    with pytest.raises(states.exceptions.ExecutionAlreadyExists):
        states.start_execution(stateMachineArn=arn, name="one")


def test_executions_do_not_survive_a_restart(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    emulator.start()
    try:
        aws = Aws(emulator.endpoint)
        function = made(aws, "def handler(event, context): print('waiting')")
        task = {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": {"FunctionName": function, "Payload": {"token.$": "$$.Task.Token"}},
            "End": True,
        }
        execution = started(aws, "waiting", task)
        emulator.stop()
        emulator.start()
        states = Aws(emulator.endpoint).client("stepfunctions")
        found = states.describe_execution(executionArn=execution)
        assert (found["status"], found["error"]) == ("FAILED", "States.ServiceRestart")
        with pytest.raises(states.exceptions.ExecutionAlreadyExists):
            states.start_execution(stateMachineArn=found["stateMachineArn"], name="waiting")
    finally:
        emulator.stop()


# ---- keys ------------------------------------------------------------------------------------------------------------


def test_kms_decrypts_another_keys_data_key_to_wrong_bytes(aws: Aws) -> None:
    kms = aws.client("kms")
    one, other = (kms.create_key()["KeyMetadata"]["Arn"] for _ in "12")
    made = kms.generate_data_key(KeyId=one, NumberOfBytes=32, EncryptionContext={"record": "a"})
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], KeyId=other, EncryptionContext={"record": "a"})
    assert opened["Plaintext"] != made["Plaintext"]
    with pytest.raises(ClientError, match="InvalidCiphertextException"):
        kms.decrypt(CiphertextBlob=made["CiphertextBlob"], KeyId=one, EncryptionContext={"record": "b"})


# ---- state -----------------------------------------------------------------------------------------------------------


def test_a_queue_url_contains_the_port(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    emulator.start()
    try:
        first, sqs = emulator.endpoint, Aws(emulator.endpoint).client("sqs")
        url = sqs.create_queue(QueueName="kept")["QueueUrl"]
        assert first.rpartition(":")[2] in url
        sqs.send_message(QueueUrl=url, MessageBody="still here")
        emulator.stop()
        with socket.socket() as taken:
            # The old port is in use by another process, so the emulator has to start on a new one.
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", int(first.rpartition(":")[2])))
            emulator.start()
        assert emulator.endpoint != first
        sqs = Aws(emulator.endpoint).client("sqs")
        url = sqs.get_queue_url(QueueName="kept")["QueueUrl"]
        assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "still here"
    finally:
        emulator.stop()


def test_stream_readers_lose_their_position_at_a_restart(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    emulator = Emulator(tmp_path / "emulator")
    emulator.start()
    try:
        aws = Aws(emulator.endpoint)
        function = made(
            aws, f"def handler(event, context): open({str(seen)!r}, 'a').write('x' * len(event['Records']))"
        )
        streamed_to(aws, function)
        for key in ("a", "b", "c"):
            aws.client("dynamodb").put_item(TableName="streamed", Item={"pk": {"S": key}})
        until(lambda: seen.exists() and seen.read_text() == "xxx")
        emulator.stop()
        emulator.start()
        Aws(emulator.endpoint).client("dynamodb").put_item(TableName="streamed", Item={"pk": {"S": "d"}})
        until(lambda: seen.read_text() == "xxxx")
    finally:
        emulator.stop()


def test_logs_and_stack_events_of_earlier_runs_are_deleted_at_start(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    emulator.start()
    try:
        aws = Aws(emulator.endpoint)
        deployed(aws, "kept", {"Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/kept"}}})
        aws.client("logs").create_log_stream(logGroupName="/kept", logStreamName="long ago")
        emulator.stop()
        emulator.start()
        aws = Aws(emulator.endpoint)
        assert aws.client("logs").describe_log_streams(logGroupName="/kept")["logStreams"] == []
        assert aws.client("cloudformation").describe_stack_events(StackName="kept")["StackEvents"] == []
        assert deployed(aws, "kept", {"Topic": {"Type": "AWS::SNS::Topic"}}) == "UPDATE_COMPLETE"
    finally:
        emulator.stop()


def test_a_killed_emulator_loses_unsaved_state(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    emulator.start()
    try:
        keys = {key: TABLE["Properties"][key] for key in ("BillingMode", "KeySchema", "AttributeDefinitions")}
        Aws(emulator.endpoint).client("dynamodb").create_table(TableName="kept", **keys)
        until(lambda: saved_state.newest_snapshot(tmp_path / "saved"))
        with emulator.saving_paused():
            Aws(emulator.endpoint).client("dynamodb").create_table(TableName="lost", **keys)
            os.kill(emulator.process_id, signal.SIGKILL)
            until(lambda: not emulator.running)
        emulator.stop()
        emulator.start()
        assert Aws(emulator.endpoint).client("dynamodb").list_tables()["TableNames"] == ["kept"]
        [note] = emulator.notes
        assert note.startswith("the last run did not end in order; going on from what was saved at ")
    finally:
        emulator.stop()


def test_a_data_folder_of_the_earlier_format_is_still_loaded(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    emulator.start()
    try:
        sqs = Aws(emulator.endpoint).client("sqs")
        sqs.send_message(QueueUrl=sqs.create_queue(QueueName="kept")["QueueUrl"], MessageBody="still here")
        emulator.stop()
        copy = saved_state.newest_snapshot(tmp_path / "saved")
        assert copy
        shutil.rmtree(tmp_path / "state")
        (copy.folder / saved_state.MANIFEST).unlink()
        copy.folder.rename(tmp_path / "state")
        shutil.rmtree(tmp_path / "saved")
        (tmp_path / "port").write_text(json.dumps({"port": copy.port}))
        emulator.start()
        assert emulator.notes == []
        sqs = Aws(emulator.endpoint).client("sqs")
        url = sqs.get_queue_url(QueueName="kept")["QueueUrl"]
        assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "still here"
    finally:
        emulator.stop()


def test_saving_resumes_after_a_failed_deployment(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    emulator.start()
    try:
        with pytest.raises(ValueError, match="a mistake"), emulator.saving_paused(resumes_after=(ValueError,)):
            raise ValueError("a mistake in a template")
        Aws(emulator.endpoint).client("sqs").create_queue(QueueName="kept")
        emulator.stop()
        emulator.start()
        assert Aws(emulator.endpoint).client("sqs").get_queue_url(QueueName="kept")["QueueUrl"]
        assert emulator.notes == []
    finally:
        emulator.stop()


# ---- AWS calls of these tests ----------------------------------------------------------------------------------------


def local_template() -> dict[str, Any]:
    return translate.translate(ROOT, "artifacts")


def code_folders(template: dict[str, Any]) -> list[str]:
    places = [r["Properties"].get("Code") or r["Properties"].get("Content") for r in template["Resources"].values()]
    return [place["S3Key"] for place in places if isinstance(place, dict)]


def until(done: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not done():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def stored(aws: Aws, key: str, template: dict[str, Any]) -> str:
    aws.client("s3").create_bucket(Bucket="templates")
    aws.client("s3").put_object(Bucket="templates", Key=key, Body=json.dumps(template).encode())
    return f"{aws.endpoint}/templates/{key}"


def deployed(aws: Aws, stack: str, resources: dict[str, Any]) -> str:
    cloudformation = aws.client("cloudformation")
    template = json.dumps({"Resources": resources})
    known = [s["StackName"] for s in cloudformation.describe_stacks()["Stacks"]]
    change = cloudformation.update_stack if stack in known else cloudformation.create_stack
    change(StackName=stack, TemplateBody=template)

    def status() -> str:
        return str(cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])

    until(lambda: not status().endswith("_IN_PROGRESS"))
    return status()


def physical_id(aws: Aws, stack: str, resource: str) -> str:
    found = aws.client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId=resource)
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def a_role(aws: Aws, name: str) -> str:
    """Creates a role with every permission and returns its ARN."""
    iam, trusted = aws.client("iam"), ["lambda.amazonaws.com", "states.amazonaws.com"]
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": trusted}}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Statement": [everything]}))
    return str(arn)


def made(aws: Aws, source: str) -> str:
    """Creates a function with this source and returns its name."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("app.py", source)
    name = f"f{time.time_ns()}"
    role = a_role(aws, name)
    aws.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=10,
    )
    return name


def streamed_to(
    aws: Aws, function: str, name: str = "streamed", *, window_seconds: int = 0, **settings: object
) -> None:
    """Creates a table whose stream the function reads. settings: more properties of the event source mapping."""
    table = aws.client("dynamodb").create_table(
        TableName=name,
        **{key: value for key, value in TABLE["Properties"].items() if key != "StreamSpecification"},
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )["TableDescription"]
    aws.client("lambda").create_event_source_mapping(
        FunctionName=function,
        EventSourceArn=table["LatestStreamArn"],
        StartingPosition="TRIM_HORIZON",
        MaximumBatchingWindowInSeconds=window_seconds,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        **settings,
    )


def a_queue(aws: Aws, name: str) -> tuple[str, str]:
    """Creates a queue and returns its URL and ARN."""
    url = aws.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    attributes = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return url, attributes["QueueArn"]


def invoked(aws: Aws, function: str) -> Any:
    return json.load(aws.client("lambda").invoke(FunctionName=function)["Payload"])


def started(aws: Aws, name: str, task: dict[str, Any]) -> str:
    states = aws.client("stepfunctions")
    definition = json.dumps({"StartAt": "Only", "States": {"Only": task}})
    role = a_role(aws, name)
    machine = states.create_state_machine(name=name, definition=definition, roleArn=role)["stateMachineArn"]
    return str(states.start_execution(stateMachineArn=machine, name=name)["executionArn"])


def executed(aws: Aws, name: str, task: dict[str, Any]) -> dict[str, Any]:
    execution = started(aws, name, task)
    states = aws.client("stepfunctions")
    until(lambda: states.describe_execution(executionArn=execution)["status"] != "RUNNING")
    return dict(states.describe_execution(executionArn=execution))


def answer_as(aws: Aws, role: str, resource: str) -> str:
    """The error code when a role that may answer task tokens on `resource` answers a token that does not exist."""
    states = client_as(aws, role, "stepfunctions", "states:SendTaskSuccess", resource)
    with pytest.raises(ClientError) as refused:
        states.send_task_success(taskToken="none", output="{}")
    return str(refused.value.response["Error"]["Code"])


def client_as(aws: Aws, role: str, service: str, action: str, resource: str) -> Any:
    """A client with a new role that may do `action` on `resource`."""
    import boto3

    anyone = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
    allowed = {"Effect": "Allow", "Action": action, "Resource": resource}
    iam = aws.client("iam")
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps({"Statement": [anyone]}))["Role"]["Arn"]
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=json.dumps({"Statement": [allowed]}))
    session = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return boto3.client(
        service,
        endpoint_url=aws.endpoint,
        region_name="us-east-1",
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
