"""A month of usage for the demo account: small orders to the embedded models on the days before today.

The product's own functions take them, in a process of their own whose clock is set back, from the sign-up on; nothing
else in the stack has another time. So the ledger, its seals and the sums of analytics are what a month of use leaves,
and they can be verified like all others. What is made is marked: its project says what it is.

`python -m infra.local.demo_month` reads a JSON object from its standard input: `root`, `environment` (variables of the
functions) and `account`; its last line says how many results were made.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from infra.local.deploy import Aws

SIGN_UP, CREATE, ATTEMPT, AUTHORIZER, PROJECTS = (
    "ApiAuthFunction",
    "ApiGenerationsFunction",
    "TasksAttemptGenerationFunction",
    "AuthorizerFunction",
    "ApiProjectsFunction",
)
STARTS = "StreamsGenerationsFunction"
FOLDERS = {
    SIGN_UP: "api/auth",
    CREATE: "api/generations",
    ATTEMPT: "tasks/attempt_generation",
    AUTHORIZER: "authorizer",
    PROJECTS: "api/projects",
}
DAYS = 30
# There while the stack begins nothing that is ordered.
PAUSED_FILE = "demo-month-paused"
PROJECT = {
    "name": "A month of usage",
    "description": "Made when the demo began, with the clock set back day by day, so that Usage has a month to show.",
}
PLACES = ("a harbour", "a meadow", "a mill by a stream", "a mountain hut", "an orchard", "a ferry", "a market square")
HOURS = ("at dawn", "at noon", "in the rain", "at dusk", "under snow")


class MonthFailed(Exception):
    """A step was answered with an error; the text names it."""


def orders() -> list[tuple[int, Mapping[str, Any]]]:
    """(days ago, body of POST /api/generate), the oldest first: more on some days than on others, none on a few."""
    found: list[tuple[int, Mapping[str, Any]]] = []
    for ago in range(DAYS, 0, -1):
        for number in range(ago * 7 % 11 % 3):
            what = f"{PLACES[(ago + number) % len(PLACES)]} {HOURS[(ago + 2 * number) % len(HOURS)]}"
            if (ago + number) % 3:
                body = {
                    "kind": "image",
                    "model": "local/canvas",
                    "prompt": what,
                    "parameters": {"width": 192, "height": 128},
                }
            else:
                body = {"kind": "text", "model": "local/writer", "prompt": f"One sentence about {what}."}
            found.append((ago, body))
    return found


async def make_month(aws: Aws, resources: Mapping[str, str], root: Path, data: Path, account: Mapping[str, str]) -> int:
    """Signs the account up a month ago, and makes the orders since; returns how many results there are. `resume` is
    called at the next start, with the same `data` folder, in case this process dies. Raises MonthFailed."""
    given = {"root": str(root), "account": dict(account), "environment": _environment(aws, resources)}
    # A visit by the stack's own clock would come weeks after the deadline. What is queued meanwhile begins afterwards.
    (data / PAUSED_FILE).touch()
    _set_starts(aws, resources, begin=False)
    try:
        return await _run(given)
    finally:
        resume(aws, resources, data)


def resume(aws: Aws, resources: Mapping[str, str], data: Path) -> None:
    """Lets the stack begin again with what is ordered, if that is paused."""
    paused = data / PAUSED_FILE
    if paused.exists():
        _set_starts(aws, resources, begin=True)
        paused.unlink()


def _set_starts(aws: Aws, resources: Mapping[str, str], *, begin: bool) -> None:
    client = aws.client("lambda")
    for mapping in client.list_event_source_mappings(FunctionName=resources[STARTS])["EventSourceMappings"]:
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=begin)


async def _run(given: Mapping[str, Any]) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.local.demo_month"),
        cwd=given["root"],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        printed, error = await process.communicate(json.dumps(given).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise MonthFailed(error.decode("utf-8", "replace").strip().rpartition("\n")[2])
    return int(printed.decode().splitlines()[-1])


def _environment(aws: Aws, resources: Mapping[str, str]) -> dict[str, str]:
    """The variables of all functions that take part, as the embedded AWS gives them to its workers."""
    variables: dict[str, str] = {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    client = aws.client("lambda")
    for name in FOLDERS:
        found = client.get_function_configuration(FunctionName=resources[name])
        variables |= found.get("Environment", {}).get("Variables", {})
    return variables


class _Clock(datetime):
    """The time of the product's clock in this process."""

    back = timedelta(0)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        at = datetime.now(tz or UTC) - cls.back
        return cls(at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond, at.tzinfo)


class _Context:
    """Lambda's context object."""

    function_name = "demo-month"
    aws_request_id = "demo-month"
    memory_limit_in_mb = 1769
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:demo-month"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class _Product:
    """The functions in this process, and who calls them."""

    def __init__(self, root: Path) -> None:
        self._apps = {name: _load(root / "functions" / folder / "app.py") for name, folder in FOLDERS.items()}
        self._event: Mapping[str, Any] = json.loads((root / "events/api/generations/generate_image.json").read_text())
        self.bearer = ""

    def call(self, name: str, path: str, body: Mapping[str, Any]) -> Any:
        """The data of a POST, as the gateway hands it over; raises MonthFailed."""
        context = self._event["requestContext"] | {"routeKey": f"ANY {path}", "authorizer": {"lambda": self._caller()}}
        context["http"] = context["http"] | {"method": "POST", "path": path}
        headers = {"content-type": "application/json", "accept": "application/json"}
        headers |= {"authorization": self.bearer} if self.bearer else {}
        event = {**self._event, "routeKey": f"ANY {path}", "rawPath": path, "headers": headers}
        event |= {"requestContext": context, "pathParameters": {}, "body": json.dumps(body)}
        answer = self._apps[name].handler(event, _Context())
        parsed = json.loads(answer["body"])
        if answer["statusCode"] >= 400:
            raise MonthFailed(f"{path} was answered {answer['statusCode']}: {parsed.get('message')}")
        return parsed["data"]

    def _caller(self) -> Mapping[str, Any]:
        if not self.bearer:
            return {}
        return self._apps[AUTHORIZER].handler({"identitySource": [self.bearer]}, _Context())["context"]

    def attempt(self, generation: Mapping[str, Any]) -> None:
        """What an Express execution does: the embedded model answers at once, and the generation is finished."""
        task = {"workspace_id": self._caller()["workspace_id"], "generation_id": generation["id"]}
        self._apps[ATTEMPT].handler(task | {"started_at": generation["created_at"]}, _Context())


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"app_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _make(root: Path, account: Mapping[str, str]) -> int:
    import atelier.clock

    # The product reads the clock in this one module.
    setattr(atelier.clock, "datetime", _Clock)  # noqa: B010 - a name that the module has, for the type checker
    product = _Product(root)
    _Clock.back = timedelta(days=DAYS, minutes=1)
    signed_up = {**account, "name": "Demo", "token_delivery": "body"}
    tokens = product.call(SIGN_UP, "/api/auth/signup", signed_up)
    product.bearer = f"Bearer {tokens['access_token']}"
    project = product.call(PROJECTS, "/api/projects", PROJECT)["project"]
    made, last = 0, DAYS
    for ago, order in orders():
        _Clock.back = timedelta(days=ago)
        if ago != last:
            product.bearer, last = "", ago
            renewed = {"refresh_token": tokens["refresh_token"]}
            tokens = product.call(SIGN_UP, "/api/auth/refresh", renewed)
            product.bearer = f"Bearer {tokens['access_token']}"
        generation = product.call(CREATE, "/api/generate", {**order, "project_id": project["id"]})["generation"]
        product.attempt(generation)
        made += 1
    return made


def main() -> int:
    """Makes the month that the standard input describes; returns the exit code."""
    given = json.load(sys.stdin)
    os.environ.update(given["environment"])
    root = Path(given["root"])
    sys.path.insert(0, str(root / "layers/atelier/python"))
    try:
        made = _make(root, given["account"])
    except MonthFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
