"""The permissions and the environment of every function of template.yaml: only what it names."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from atelier.generations.model import OPEN_STATUSES
from atelier.moderation.model import ALWAYS_REFUSED, Category
from atelier.provider_port import WORK_SECONDS_MAX
from infra.local.templates import read_template
from tests.invoke import load_function
from tests.unit.infra import permissions

ROOT = Path(__file__).parents[3]
TEMPLATE = read_template(ROOT / "template.yaml")
FUNCTIONS: dict[str, dict[str, Any]] = {
    name: resource["Properties"]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
}
# The functions that accept prompts, that use a model's text as a prompt, and that store results.
JUDGING = ("ApiGenerationsFunction", "V1Function", "TasksPlanStageFunction", "TasksFinishGenerationFunction")
LAYER = ROOT / "layers/atelier/python"
# The modules with the settings.
SETTINGS = ("settings", "provider_settings", "site_settings")
# Studio takes neither the shared variables nor the product's settings.
STUDIO, STUDIO_SETTINGS = "StudioFunction", ROOT / "layers/studio/python/studio/settings.py"
# The environment variables of every function.
SHARED: dict[str, Any] = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
# The parameters of a deployment whose texts have no greatest length.
FREE_TEXTS = ("'ProviderUrls'", "'ProviderLimits'", "'FrontendOrigins'", "'Providers'", "'WebhookHosts'", "'SentryDsn'")
# Lambda's limit for the names and values of all variables of a function.
ENVIRONMENT_BYTES_MAX = 4096
# Reads of names, states and settings for which IAM has no resource, or none that shows combined alarms.
WITHOUT_RESOURCE = {
    "dynamodb:ListTables",
    "lambda:GetAccountSettings",
    "lambda:ListEventSourceMappings",
    "scheduler:ListSchedules",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "ses:GetAccount",
}


# The paths of the gateway, with their function: "/api/assets/{proxy+}" → "ApiLibraryFunction".
GATEWAY_PATHS: dict[str, str] = {
    event["Properties"]["Path"]: name
    for name, function in FUNCTIONS.items()
    for event in function.get("Events", {}).values()
    if event["Type"] == "HttpApi" and "Path" in event["Properties"]
}

# The functions that declare their routes with `Api`. Studio has a router of its own.
DECLARING = {
    name
    for name in GATEWAY_PATHS.values()
    if "Api(" in (ROOT / FUNCTIONS[name]["CodeUri"] / "app.py").read_text("utf-8")
}


def function_of(path: str) -> str | None:
    """The function that the gateway calls for a path; None when no path of the template matches. Of several matching
    ones the gateway takes, from segment to segment, a literal before a variable before the rest of the path."""

    def precedence(declared: str) -> list[int]:
        return [2 if "+" in segment else 1 if "{" in segment else 0 for segment in declared.split("/")]

    patterns = {declared: re.sub(r"\{\w+\}", "[^/]+", declared.replace("{proxy+}", ".+")) for declared in GATEWAY_PATHS}
    matching = [declared for declared, pattern in patterns.items() if re.fullmatch(pattern, path)]
    return GATEWAY_PATHS[min(matching, key=precedence)] if matching else None


def statements(name: str) -> list[dict[str, Any]]:
    """The statements of a function's own policies and of the managed policies that it names."""
    return permissions.statements(TEMPLATE, name)


def own_variables(name: str) -> dict[str, Any]:
    """The environment variables that a function has in addition to the shared ones."""
    return FUNCTIONS[name].get("Environment", {}).get("Variables", {})


def test_no_permission_has_changed_unnoticed() -> None:
    assert permissions.table(TEMPLATE) == permissions.TABLE.read_text(), (
        "the permissions of template.yaml have changed: write PERMISSIONS.md anew by `PYTHONPATH=layers/atelier/python "
        ".venv/bin/python -m tests.unit.infra.permissions`, and read in its diff whether each new one is needed"
    )


@pytest.mark.parametrize("name", sorted(DECLARING))
def test_the_gateway_sends_each_route_to_the_function_that_declares_it(name: str) -> None:
    api = vars(load_function(FUNCTIONS[name]["CodeUri"].removeprefix("functions/")))["api"]
    paths = {re.sub(r"<\w+\+?>", "x", route.path) for route in api.routes}
    elsewhere = {path: receiver for path in sorted(paths) if (receiver := function_of(path)) != name}
    assert elsewhere == {}, f"add an event with the path to {name} in template.yaml"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functions_policy_names_its_actions_and_resources(name: str) -> None:
    for statement in statements(name):
        assert not [action for action in permissions.listed(statement["Action"]) if "*" in action]
        if "*" in permissions.listed(statement["Resource"]):
            assert set(permissions.listed(statement["Action"])) <= WITHOUT_RESOURCE


def test_a_resource_that_depends_on_a_condition_is_otherwise_none() -> None:
    conditional = [
        resource["Fn::If"]
        for name in FUNCTIONS
        for statement in statements(name)
        for resource in permissions.listed(statement["Resource"])
        if "Fn::If" in resource
    ]
    assert conditional
    assert all(re.search(r"(:secret:none|:key/none)$", nothing["Fn::Sub"]) for _, _, nothing in conditional)


def test_the_attempt_functions_timeout_exceeds_the_longest_provider_wait() -> None:
    assert FUNCTIONS["TasksAttemptGenerationFunction"]["Timeout"] >= WORK_SECONDS_MAX + 30


def test_a_wildcard_resource_is_explained_in_the_line_before_its_statement() -> None:
    lines = (ROOT / "template.yaml").read_text().splitlines()
    wild = [number for number, line in enumerate(lines) if re.search(r'Resource: "\*"', line)]
    for number in wild:
        start = max(index for index in range(number) if lines[index].lstrip().startswith("- Effect:"))
        assert lines[start - 1].lstrip().startswith("#"), f"template.yaml:{number + 1}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_secret_value_is_in_the_environment(name: str) -> None:
    for variable, value in (SHARED | own_variables(name)).items():
        if "SECRET" in variable:
            assert not value or str(value["Fn::GetAtt"]).endswith("SecretArn']")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functions_own_variables_are_read_by_its_settings(name: str) -> None:
    own = set(own_variables(name)) - set(SHARED)
    if name == STUDIO:
        assert own == set(re.findall(r"STUDIO_\w+", STUDIO_SETTINGS.read_text()))
        return
    assert own - variables_read(ROOT / FUNCTIONS[name]["CodeUri"] / "app.py") == set()


def test_a_shared_variable_is_read_by_several_functions() -> None:
    readers = [variables_read(ROOT / function["CodeUri"] / "app.py") for function in FUNCTIONS.values()]
    ours = {variable for variable in SHARED if variable.startswith("ATELIER_")}
    assert {variable for variable in ours if sum(variable in read for read in readers) < 2} == set(), (
        "move these variables of template.yaml from Globals to the function that reads them"
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_may_use_only_the_tables_that_its_settings_name(name: str) -> None:
    granted = set(re.findall(r"'Outputs\.(\w+)TableArn'|Data\.Outputs\.(\w+)TableArn", str(statements(name))))
    tables = {first or second for first, second in granted}
    read_by = variables_read(ROOT / FUNCTIONS[name]["CodeUri"] / "app.py")
    assert {table for table in tables if f"ATELIER_TABLE_{table.upper()}" not in read_by} == set()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functions_environment_leaves_room_for_the_parameters_of_a_deployment(name: str) -> None:
    """A quarter of the limit is left for ProviderUrls, ProviderLimits and other texts of free length, where a function
    has some."""
    variables = own_variables(name) if name == STUDIO else SHARED | own_variables(name)
    has_texts = any(text in str(variables) for text in FREE_TEXTS)
    bytes_max = ENVIRONMENT_BYTES_MAX * (3 if has_texts else 4) // 4
    assert sum(len(variable) + longest_value(value) for variable, value in variables.items()) < bytes_max


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_a_function_that_sends_to_its_own_queue_allows_recursion(name: str) -> None:
    """AWS stops a loop of a function and its queue after about sixteen rounds, unless the function allows recursion."""
    events = FUNCTIONS[name].get("Events", {}).values()
    read_from = {str(each["Properties"]["Queue"]) for each in events if each["Type"] == "SQS"}
    sent_to = {str(each["Resource"]) for each in statements(name) if each["Action"] == "sqs:SendMessage"}
    assert (FUNCTIONS[name].get("RecursiveLoop") == "Allow") == bool(read_from & sent_to)


@pytest.mark.parametrize("name", JUDGING)
def test_a_function_that_takes_prompts_or_delivers_results_may_use_the_moderator(name: str) -> None:
    needed = settings()["Moderation"] | {"ATELIER_SECRET_PROVIDERS", "ATELIER_PROVIDER_URLS"}
    assert needed <= set(SHARED)
    assert needed <= variables_read(ROOT / FUNCTIONS[name]["CodeUri"] / "app.py")
    # The secret holds every provider's key, so only a deployment with a moderator may read it.
    [granted] = [each["Resource"] for each in statements(name) if "ProvidersSecretArn" in str(each)]
    assert granted["Fn::If"][0] == "HasModerator"


def test_the_templates_moderation_categories_match_the_code() -> None:
    pattern = TEMPLATE["Parameters"]["ModeratedCategories"]["AllowedPattern"]
    assert set(re.findall(r"\w+", pattern)) == {
        category.value for category in Category if category not in ALWAYS_REFUSED
    }
    assert re.fullmatch(pattern, TEMPLATE["Parameters"]["ModeratedCategories"]["Default"])


def test_the_generations_streams_filter_excludes_exactly_the_open_states() -> None:
    committed = FUNCTIONS["StreamsGenerationsFunction"]["Events"]["Committed"]["Properties"]
    patterns = [json.loads(each["Pattern"]) for each in committed["FilterCriteria"]["Filters"]]
    [ended] = [
        p["dynamodb"]["NewImage"]["status"]["S"] for p in patterns if "status" in p["dynamodb"].get("NewImage", {})
    ]
    assert ended == [{"anything-but": [state.value for state in OPEN_STATUSES]}]


def longest_value(value: Any) -> int:
    """The length in bytes of a variable's value in a deployment with long names: an ARN of a secret or state machine, a
    queue's URL, the name of a table or bucket; of a parameter, its default."""
    if isinstance(value, str):
        return len(value)
    [(function, argument)] = value.items()
    if function == "Fn::If":
        return max(longest_value(each) for each in argument[1:])
    if function == "Ref" and argument in TEMPLATE["Parameters"]:
        return len(str(TEMPLATE["Parameters"][argument]["Default"]))
    return 134 if str(argument).endswith("QueueUrl']") else 95


@cache
def settings() -> dict[str, set[str]]:
    """Settings class → the variables that it reads."""
    found: dict[str, set[str]] = {}
    modules = [ast.parse((LAYER / "atelier" / f"{name}.py").read_text()) for name in SETTINGS]
    for node in chain.from_iterable(module.body for module in modules):
        if isinstance(node, ast.ClassDef):
            aliases = re.findall(r"(?:text_variable|number_variable)\('(ATELIER_\w+)'", ast.unparse(node))
            found[node.name] = set(aliases)
    return found


@cache
def product_imports(path: Path) -> tuple[set[str], set[Path]]:
    """The settings classes that a module imports, and the files of the product's modules that it may import."""
    classes, files = set[str](), set[Path]()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("atelier"):
            continue
        if node.module in [f"atelier.{each}" for each in SETTINGS]:
            classes |= {name.name for name in node.names}
        for module in [str(node.module), *(f"{node.module}.{name.name}" for name in node.names)]:
            base = LAYER / module.replace(".", "/")
            files |= {file for file in (base.with_suffix(".py"), base / "__init__.py") if file.exists()}
    return classes, files


def variables_read(app: Path) -> set[str]:
    """The settings' variables that any module reads which the app may import."""
    seen, todo = set[Path](), [app]
    classes = set[str]()
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            imported, files = product_imports(path)
            classes |= imported
            todo += files
    return {variable for name in classes for variable in settings().get(name, set())}


# ---- dead letters ----------------------------------------------------------------------------------------------------

MESSAGING, OBSERVABILITY = (read_template(ROOT / f"infra/{name}.yaml") for name in ("messaging", "observability"))
# Event types whose caller waits for the function, and so sees a failure itself.
SYNCHRONOUS_EVENTS = {"HttpApi"}


def queue_of(value: Any) -> str:
    """The queue in messaging.yaml that a value of template.yaml names: `!GetAtt Messaging.Outputs.…`."""
    output = ".".join(permissions.listed(value["Fn::GetAtt"])).removeprefix("Messaging.Outputs.")
    queue: str = MESSAGING["Outputs"][output]["Value"]["Fn::GetAtt"][0]
    assert MESSAGING["Resources"][queue]["Type"] == "AWS::SQS::Queue"
    return queue


def queues_with_alarm() -> set[str]:
    """The queues whose first message raises an alarm."""
    names = TEMPLATE["Resources"]["Observability"]["Properties"]["Parameters"]
    alarms = [
        alarm["Properties"]
        for alarm in OBSERVABILITY["Resources"].values()
        if alarm["Type"] == "AWS::CloudWatch::Alarm" and alarm["Properties"].get("Namespace") == "AWS/SQS"
    ]
    assert {(alarm["MetricName"], alarm["Threshold"], *alarm["AlarmActions"][0].values()) for alarm in alarms} == {
        ("ApproximateNumberOfMessagesVisible", 1, "Alarms")
    }
    return {queue_of(names[alarm["Dimensions"][0]["Value"]["Ref"]]) for alarm in alarms}


def dead_letters(function: dict[str, Any], event: dict[str, Any]) -> list[str]:
    """The queues that keep what the function failed to process, or what did not reach it."""
    consumed = event["Properties"]
    match event["Type"]:
        case "DynamoDB":
            assert consumed["MaximumRetryAttempts"] >= 1
            # One bad record must not take the others of its batch along.
            assert consumed["BisectBatchOnFunctionError"] is True
            return [queue_of(consumed["DestinationConfig"]["OnFailure"]["Destination"])]
        case "SQS":
            queue = MESSAGING["Resources"][queue_of(consumed["Queue"])]["Properties"]
            assert queue["RedrivePolicy"]["maxReceiveCount"] >= 2
            return [queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]
        case "ScheduleV2" | "EventBridgeRule":
            # The first for what does not reach the function, the second for what it fails to process.
            on_failure = function["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
            return [queue_of(consumed["DeadLetterConfig"]["Arn"]), queue_of(on_failure["Destination"])]
        case "CloudWatchLogs":
            # The lines stay in their group, whatever becomes of the function.
            return [queue_of(function["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"])]
        case unknown:
            raise AssertionError(f"say here where the failures of {unknown} are kept")


BACKGROUND_EVENTS = [
    (name, event)
    for name, function in FUNCTIONS.items()
    for event in function.get("Events", {}).values()
    if event["Type"] not in SYNCHRONOUS_EVENTS
]


@pytest.mark.parametrize(("name", "event"), BACKGROUND_EVENTS, ids=[name for name, _ in BACKGROUND_EVENTS])
def test_what_a_background_function_fails_to_process_is_kept_and_raises_an_alarm(
    name: str, event: dict[str, Any]
) -> None:
    assert set(dead_letters(FUNCTIONS[name], event)) <= queues_with_alarm()


@pytest.mark.parametrize("name", dict(BACKGROUND_EVENTS))
def test_a_handler_reports_single_failures_exactly_where_its_event_asks_for_them(name: str) -> None:
    tree = ast.parse((ROOT / FUNCTIONS[name]["CodeUri"] / "app.py").read_text())
    [handler] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "handler"]
    is_expected = "FunctionResponseTypes" in dict(BACKGROUND_EVENTS)[name]["Properties"]
    if name.startswith(("Streams", "Queues")):
        assert is_expected == (ast.unparse(handler.returns or ast.Constant(None)) != "None")
    else:
        assert not is_expected


def test_the_scheduler_may_start_exactly_what_has_a_schedule() -> None:
    scheduled = {
        name
        for name, resource in TEMPLATE["Resources"].items()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "ScheduleV2"
    }
    [policy] = TEMPLATE["Resources"]["SchedulerRole"]["Properties"]["Policies"]
    functions, machines, letters = policy["PolicyDocument"]["Statement"]
    assert (functions["Action"], machines["Action"]) == ("lambda:InvokeFunction", "states:StartExecution")
    started = {each["Fn::GetAtt"][0] for each in functions["Resource"]} | {each["Ref"] for each in machines["Resource"]}
    assert started == scheduled
    assert (letters["Action"], queue_of(letters["Resource"])) == ("sqs:SendMessage", "EventsDeadLetters")


def test_every_schedule_takes_the_role_of_the_scheduler() -> None:
    """A role of its own for each would take one of the stack's 500 resources."""
    schedules = [
        event["Properties"]
        for resource in TEMPLATE["Resources"].values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "ScheduleV2"
    ]
    assert {str(each["RoleArn"]) for each in schedules} == {"{'Fn::GetAtt': ['SchedulerRole', 'Arn']}"}
    assert {queue_of(each["DeadLetterConfig"]["Arn"]) for each in schedules} == {"EventsDeadLetters"}
