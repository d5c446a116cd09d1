"""Where the embedded AWS (ministack 1.5.33) differs from AWS in something that Atelier uses, and what we do about it.

This is the only list. Each entry has a test of its name in tests/integration/test_emulator_differences.py, which shows
the difference or its remedy. When a new version of the emulator removes a difference, the test fails: then remove the
entry and the remedy.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """name: the name of its test, without `test_`. on_aws, here: what AWS does, what the embedded AWS does. met_by: our
    remedy."""

    name: str
    on_aws: str
    on_emulator: str
    remedy: str


DIFFERENCES = (
    # ---- deployment ----------------------------------------------------------------------------------------------
    Difference(
        "a_nested_stack_with_a_stream_output_cannot_be_updated",
        "Nested stacks are updated in place.",
        "An update of a stack whose output reads a table's StreamArn ends in UPDATE_ROLLBACK_FAILED.",
        "infra/local/flatten.py lays infra/*.yaml into one stack, and split.py what observes into a second one.",
    ),
    Difference(
        "the_body_of_an_http_api_makes_no_routes",
        "AWS::ApiGatewayV2::Api.Body imports routes, integrations and authorizers.",
        "The body is ignored.",
        "infra/local/translate.py spells them out as resources.",
    ),
    Difference(
        "cloudfront_keys_are_unknown_types",
        "AWS::CloudFront::PublicKey and KeyGroup hold the keys of signed URLs.",
        "CloudFormation refuses the types, and a distribution would carry no request.",
        "They and infra/edge.yaml are left out; infra/local/edge.py behaves as the distribution.",
    ),
    Difference(
        "a_saved_query_is_an_unknown_type",
        "AWS::Athena::NamedQuery is listed in Athena's console.",
        "CloudFormation refuses the type.",
        "infra/local/translate.py leaves them out; infra/sql.py reads them from the template.",
    ),
    Difference(
        "athena_without_duckdb_answers_with_a_made_up_row",
        "Athena answers a query from the files, or fails.",
        "Without DuckDB in its environment each query succeeds with one row, `mock_value`.",
        "It is among the packages of `make run`, which says so at its start when it is missing.",
    ),
    Difference(
        "alarms_do_not_support_metric_expressions",
        "An alarm may be a metric-math expression.",
        "CloudFormation refuses alarms with Metrics.",
        "infra/local/translate.py leaves them out; infra/local/alarms.py creates them by the API, and computes.",
    ),
    Difference(
        "saved_log_queries_and_combined_alarms_are_unknown_types",
        "AWS::Logs::QueryDefinition saves a query, AWS::CloudWatch::CompositeAlarm combines alarms.",
        "CloudFormation refuses the types.",
        "Queries are left out; infra/local/alarms.py creates the combined alarms by the API.",
    ),
    Difference(
        "lines_and_queues_make_no_metrics",
        "Embedded metrics and metric filters make metrics of a function's lines; queues and machines write their own.",
        "There are no such metrics, so no alarm would fire.",
        "infra/local/alarms.py reads lines, queues and executions, and makes the metrics.",
    ),
    Difference(
        "a_subscription_wants_all_terms_of_its_pattern",
        "A subscription's pattern of optional terms (`?a ?b`) takes a line with any of them.",
        "A line must contain all of them.",
        "infra/local/translate.py takes the pattern away; functions/events/report_errors reads lines itself.",
    ),
    Difference(
        "an_alarm_looks_at_all_dimensions_of_a_metric",
        "An alarm watches the metric with exactly its dimensions.",
        "All values of a metric's name count, whatever their dimensions.",
        "infra/local/alarm_rules.py decides, and infra/local/alarms.py stores the states.",
    ),
    Difference(
        "reserved_concurrency_of_a_template_is_ignored",
        "ReservedConcurrentExecutions bounds a function.",
        "CloudFormation drops it; as an API call it throttles.",
        "Nothing relies on it: it only saves two schedules from meeting themselves.",
    ),
    Difference(
        "dependencies_come_from_the_emulators_environment",
        "Layers bring packages built for arm64.",
        "Functions run in the emulator's own interpreter, on this machine's processor.",
        "infra/local/translate.py leaves the dependency layers out, and a worker imports no package of a layer that "
        "its function does not have (layer_packages.py); our own layers are deployed.",
    ),
    Difference(
        "deletion_policies_are_removed_from_the_local_template",
        "Tables, bucket and secrets outlive their stack.",
        "The data folder is the life of the stack.",
        "infra/local/translate.py drops the deletion policies.",
    ),
    # ---- requests ------------------------------------------------------------------------------------------------
    Difference(
        "cookies_are_left_in_their_header",
        "Payload format 2.0 moves cookies into the event's list `cookies`.",
        "The event has no such list; the header keeps them.",
        "atelier/http reads both.",
    ),
    Difference(
        "a_lambda_crash_is_shown_to_the_caller",
        "A handler's exception is a 500 with a general message.",
        "It is a 502 with the exception's text.",
        "atelier/http lets no exception out.",
    ),
    Difference(
        "every_request_comes_from_loopback",
        "requestContext.http.sourceIp is the address that called the gateway.",
        "It is always 127.0.0.1.",
        "The edge names the viewer in `atelier-viewer-address`, in CloudFront and here.",
    ),
    Difference(
        "a_refused_media_request_is_answered_in_json_by_the_edge",
        "CloudFront and S3 refuse with XML.",
        "The local edge refuses with the contract's envelope; the status is the same.",
        "Clients go by the status.",
    ),
    Difference(
        "a_compressed_text_body_is_corrupted",
        "A compressed body reaches the function in base64, whatever its type.",
        "A body of a text type is decoded as text, and what is no UTF-8 in it is replaced.",
        "The local edge unpacks gzip before it passes a body on; atelier/http does so on AWS.",
    ),
    Difference(
        "options_is_answered_by_the_gateway",
        "Without a CORS configuration OPTIONS reaches the function, which refuses it with 405 and Allow.",
        "The gateway refuses it with 403.",
        "Preflights are answered at the edge on both; nothing else relies on OPTIONS.",
    ),
    # ---- streams and workflows -----------------------------------------------------------------------------------
    Difference(
        "streams_do_not_repeat_single_records",
        "ReportBatchItemFailures repeats a stream's batch from the failed record.",
        "The answer is ignored and the batch counts as done.",
        "Stream functions raise, which repeats the batch on both.",
    ),
    Difference(
        "a_failing_stream_batch_is_kept_until_it_is_too_old",
        "MaximumRetryAttempts and BisectBatchOnFunctionError bound how often a stream's failing batch is repeated.",
        "Only MaximumRecordAgeInSeconds does; then the batch goes to the on-failure destination as on AWS.",
        "Stream functions act on the whole batch before they fail, so a bad record does not hold up newer ones.",
    ),
    Difference(
        "a_streams_batching_window_is_ignored",
        "MaximumBatchingWindowInSeconds gathers a stream's records before the function is called.",
        "What is there is delivered at once.",
        "Nothing relies on waiting: entries are sealed sooner, in more seals. The bench holds the stream back itself.",
    ),
    Difference(
        "a_failed_function_with_a_task_token_is_not_reported",
        "lambda:invoke.waitForTaskToken fails at once when the function fails or is throttled.",
        "The task waits for its token until its time-out.",
        "attempt_generation catches everything and answers its token; deadlines are swept from our own data.",
    ),
    Difference(
        "a_tasks_error_name_is_lost",
        "A failed Lambda task carries the exception's class as its error name.",
        "The name is always Runtime.HandlerError.",
        "Expected failures travel as data; the state machine matches no name of ours but one that we send ourselves.",
    ),
    Difference(
        "task_token_callbacks_need_permission_on_every_resource",
        "states:SendTask* is allowed on the state machine whose task it is.",
        "The emulator asks for the action on every resource.",
        "infra/local/translate.py widens just these actions; template.yaml names the state machine.",
    ),
    Difference(
        "express_executions_are_standard_ones",
        "An Express execution can be started twice under a name, has no history, and ends after five minutes.",
        "It is a Standard one: its name is taken, it can be described, and nothing ends it.",
        "Nothing relies on either: a visit may be repeated, and its task has a time-out below the five minutes.",
    ),
    Difference(
        "executions_do_not_survive_a_restart",
        "Executions go on whatever happens.",
        "What was running is FAILED after a restart, and its name can never be used again.",
        "The reconciler ends such generations at their deadline and gives the credits back.",
    ),
    # ---- mails ---------------------------------------------------------------------------------------------------
    Difference(
        "a_mail_needs_permission_on_every_resource",
        "ses:SendEmail is allowed on the identity of the sender.",
        "The emulator asks for the action on every resource.",
        "infra/local/translate.py widens just this action; template.yaml names identities.",
    ),
    # ---- backups -------------------------------------------------------------------------------------------------
    Difference(
        "an_import_needs_permission_on_every_resource",
        "dynamodb:ImportTable and DescribeImport are allowed on the table that is made.",
        "The emulator asks for the actions on every resource.",
        "infra/local/translate.py widens just these actions; template.yaml names the scratch tables.",
    ),
    # ---- keys ----------------------------------------------------------------------------------------------------
    Difference(
        "kms_decrypts_another_keys_data_key_to_wrong_bytes",
        "KMS refuses a data key that another key wrapped, and one that was changed.",
        "It checks the encryption context, and opens the rest to bytes that mean nothing.",
        "What such bytes should open is refused by its own tag (AES-256-GCM).",
    ),
    # ---- state ---------------------------------------------------------------------------------------------------
    Difference(
        "a_queue_url_contains_the_port",
        "A queue's URL is for ever.",
        "It holds the emulator's port, and queues are kept under it.",
        "infra/local/emulator.py moves the saved state to the new port.",
    ),
    Difference(
        "stream_readers_lose_their_position_at_a_restart",
        "A stream keeps its records for a day, and its readers their place.",
        "After a restart the streams are empty, but the readers' places are as before: they skip what comes.",
        "infra/local/emulator.py drops the places. What was written but not yet read before is swept at its deadline.",
    ),
    Difference(
        "a_killed_emulator_loses_unsaved_state",
        "A committed write is durable.",
        "State is written when the emulator is stopped, and the emulator goes on when it could not be.",
        "infra/local/emulator_process.py saves a copy every two seconds in which something changed; a start goes on "
        "from the newest whole one, and a stop says when the last could not be written.",
    ),
)
