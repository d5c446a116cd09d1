"""The permissions and the environment of every function of template.yaml: only what it names."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from atelier.generations.model import OPEN_STATUSES
from atelier.moderation.model import ALWAYS_REFUSED, Category
from atelier.provider_port import WORK_SECONDS_MAX
from infra.local.templates import read_template

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
# The environment variables of every function.
EVERYONE = set(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"])


def statements(properties: dict[str, Any]) -> list[dict[str, Any]]:
    return [statement for policy in properties.get("Policies", []) for statement in policy["Statement"]]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functions_policy_names_its_actions_and_resources(name: str) -> None:
    for statement in statements(FUNCTIONS[name]):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert not [action for action in actions if "*" in action]
        assert "*" not in resources


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
    for variable, value in FUNCTIONS[name].get("Environment", {}).get("Variables", {}).items():
        if "SECRET" in variable:
            assert str(value["Fn::GetAtt"]).endswith("SecretArn']")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functions_environment_has_only_variables_that_it_reads(name: str) -> None:
    read_by = variables_read(ROOT / FUNCTIONS[name]["CodeUri"] / "app.py")
    told = set(FUNCTIONS[name].get("Environment", {}).get("Variables", {}))
    assert told - read_by == set(), "told, but nothing that it imports reads it"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_may_access_each_table_in_its_environment(name: str) -> None:
    granted = str(statements(FUNCTIONS[name]))
    for variable in FUNCTIONS[name].get("Environment", {}).get("Variables", {}):
        if variable.startswith("ATELIER_TABLE_"):
            assert f"{variable.removeprefix('ATELIER_TABLE_').capitalize()}TableArn" in granted


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_a_function_that_sends_to_its_own_queue_allows_recursion(name: str) -> None:
    """AWS stops a loop of a function and its queue after about sixteen rounds, unless the function allows recursion."""
    events = FUNCTIONS[name].get("Events", {}).values()
    read_from = {str(each["Properties"]["Queue"]) for each in events if each["Type"] == "SQS"}
    sent_to = {str(each["Resource"]) for each in statements(FUNCTIONS[name]) if each["Action"] == "sqs:SendMessage"}
    assert (FUNCTIONS[name].get("RecursiveLoop") == "Allow") == bool(read_from & sent_to)


@pytest.mark.parametrize("name", JUDGING)
def test_functions_that_moderate_have_the_moderation_settings_and_secret(name: str) -> None:
    told = set(FUNCTIONS[name]["Environment"]["Variables"])
    assert told >= settings()["Moderation"] | {"ATELIER_SECRET_PROVIDERS", "ATELIER_PROVIDER_URLS"}
    # The secret holds every provider's key, so only a deployment with a moderator may read it.
    [granted] = [each["Resource"] for each in statements(FUNCTIONS[name]) if "ProvidersSecretArn" in str(each)]
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


def settings() -> dict[str, set[str]]:
    """Settings class → the variables that it reads."""
    tree = ast.parse((LAYER / "atelier/settings.py").read_text())
    found: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            aliases = re.findall(r"(?:text_variable|number_variable)\('(ATELIER_\w+)'", ast.unparse(node))
            found[node.name] = set(aliases)
    return found


def variables_read(app: Path) -> set[str]:
    """The settings' variables that any module reads which the app may import."""
    known, seen, todo = settings(), set[Path](), [app]
    variables = set[str]()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("atelier"):
                continue
            if node.module == "atelier.settings":
                for name in node.names:
                    variables |= known.get(name.name, set())
            for module in [str(node.module), *(f"{node.module}.{name.name}" for name in node.names)]:
                base = LAYER / module.replace(".", "/")
                todo += [p for p in (base.with_suffix(".py"), base / "__init__.py") if p.exists()]
    return variables
