"""The product's state machines on the embedded AWS, with scripted functions in place of their tasks.

The emulator ignores the failure of a function that was called with a task token (infra/local/differences.py), so here
an attempt fails by the answer to its token. Each retry gets the token of the first try; on AWS each has its own.
"""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml

from atelier.adapters.aws.stepfunctions import StepFunctionsWorkflow
from tests.embedded_aws import clear_wiring_caches, start_emulator
from tests.polling import wait_until

MACHINES = Path(__file__).parents[2] / "statemachines"
ASL, RUNS = MACHINES / "generate_media.asl.yaml", MACHINES / "run_pipeline.asl.yaml"
EXPRESS = MACHINES / "generate_media_express.asl.yaml"
# The functions whose ARNs the definitions contain as placeholders, and the names of their scripts here.
TASKS = {
    "AttemptGeneration": "attempt",
    "FinishGeneration": "finish",
    "PlanStage": "plan",
    "FinishRun": "end",
    "WriteExport": "write",
    "WriteBackup": "back_up",
    "DrillRestore": "drill",
    "EscrowSecrets": "escrow",
    "Erase": "erase",
    "DeploySite": "deploy",
}
WORKSPACE = "wsp_01M7XCN60Q0Z9AH99VAAQWYH99"
ROLE = "arn:aws:iam::000000000000:role/scripted"
SUCCEEDED = {"status": "succeeded"}
FINISHED = {"outcome": "succeeded"}

# The code of the scripted functions: it records the call, then does the script's step of that number. The last step is
# repeated for all later calls.
SCRIPTED_FUNCTION = """
import json, os, pathlib

def handler(event, context):
    names = ("run_id", "export_id", "deployment_id", "backup_id", "drill_id", "execution", "subject", "generation_id")
    subject = next(event[name] for name in names if event.get(name))
    folder, task = pathlib.Path(os.environ["SCRIPTS"]) / subject, os.environ["TASK"]
    steps = json.loads((folder / (task + ".json")).read_text())
    with (folder / task).open("a+") as visits:
        visits.write(json.dumps(event) + "\\n")
        visits.seek(0)
        number = len(visits.readlines())
    step = steps[min(number, len(steps)) - 1]
    print(task, number)
    if "raise" in step:
        raise RuntimeError(step["raise"])
    if "succeed" in step:
        import botocore.session
        states = botocore.session.get_session().create_client("stepfunctions")
        states.send_task_success(taskToken=event["task_token"], output=json.dumps(step["succeed"]))
    return event | step["return_ids"] if "return_ids" in step else step.get("return")
"""
Step = Mapping[str, Any]
WAIT: Step = {}


@dataclass(frozen=True, slots=True)
class Execution:
    """A running or ended execution, and the payloads of its tasks."""

    states: Any
    arn: str
    folder: Path

    def payloads(self, task: str, count: int = 0) -> list[dict[str, Any]]:
        """The payloads with which a task was called; waits until there are at least `count`."""
        notes = self.folder / task
        if count:
            wait_until(lambda: notes.exists() and notes.read_text().count("\n") >= count)
        return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []

    def wait_for_end(self) -> dict[str, Any]:
        """Waits until the execution has ended; returns its description."""

        def described() -> dict[str, Any] | None:
            found: dict[str, Any] = self.states.describe_execution(executionArn=self.arn)
            return found if found["status"] != "RUNNING" else None

        return wait_until(described, 60)

    @property
    def output(self) -> Any:
        """The output of the execution, which must have succeeded."""
        ended = self.wait_for_end()
        assert ended["status"] == "SUCCEEDED", ended
        return json.loads(ended["output"])

    @property
    def entered(self) -> list[str]:
        """The names of the states that it entered, in order."""
        entries = [event.get("stateEnteredEventDetails") for event in self._history()]
        return [entry["name"] for entry in entries if entry]

    @property
    def transitions(self) -> int:
        """The transitions that AWS bills: each entered state, each retry, and the end."""
        kinds = Counter(str(event["type"]) for event in self._history())
        return len(self.entered) + kinds["TaskScheduled"] - kinds["TaskStateEntered"] + 1

    def _history(self) -> list[dict[str, Any]]:
        self.wait_for_end()
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=self.arn)
        return [event for page in pages for event in page["events"]]


@dataclass(frozen=True, slots=True)
class Machine:
    """The deployed state machine generate_media. The product's own adapter starts it and answers its tokens."""

    states: Any
    arn: str
    scripts: Path

    @property
    def workflow(self) -> StepFunctionsWorkflow:
        return StepFunctionsWorkflow(self.arn)

    def start(self, *attempt: Step, finish: tuple[Step, ...] = ({"return": FINISHED},)) -> Execution:
        """Starts an execution whose tasks follow these scripts, one step for each call."""
        generation_id = f"gen_{uuid.uuid4().hex}"
        folder = self.scripts / generation_id
        folder.mkdir()
        (folder / "attempt.json").write_text(json.dumps(attempt))
        (folder / "finish.json").write_text(json.dumps(finish))
        self.workflow.start(WORKSPACE, generation_id)
        arn = f"{self.arn.replace(':stateMachine:', ':execution:')}:{generation_id}"
        return Execution(self.states, arn, folder)


@dataclass(frozen=True, slots=True)
class RunMachine:
    """The deployed state machine run_pipeline. Its scripted planning task names the run itself as each stage, so that
    one folder has the scripts of all tasks."""

    states: Any
    arn: str
    scripts: Path

    @property
    def workflow(self) -> StepFunctionsWorkflow:
        return StepFunctionsWorkflow("", self.arn)

    def start(self, *attempt: Step, stages: int, finish: tuple[Step, ...] = ({"return": FINISHED},)) -> Execution:
        """Starts an execution of a run with this number of stages."""
        run_id = f"gen_{uuid.uuid4().hex}"
        folder = self.scripts / run_id
        folder.mkdir()
        ids = {"workspace_id": WORKSPACE, "run_id": run_id, "lost": None}
        plan = [{"return": {**ids, "generation_id": run_id}}] * stages + [{"return": {**ids, "generation_id": None}}]
        for task, steps in (("attempt", attempt), ("finish", finish), ("plan", plan), ("end", [{"return": FINISHED}])):
            (folder / f"{task}.json").write_text(json.dumps(steps))
        self.workflow.start_run(WORKSPACE, run_id)
        arn = f"{self.arn.replace(':stateMachine:', ':execution:')}:{run_id}"
        return Execution(self.states, arn, folder)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint URL of an embedded AWS in a process of its own, because it executes the scripted functions."""
    child, url = start_emulator(tmp_path_factory.mktemp("emulator"))
    # The product's clients keep the endpoint with which they were created.
    clear_wiring_caches()
    try:
        yield url
    finally:
        clear_wiring_caches()
        child.terminate()
        child.wait(timeout=10)


@pytest.fixture(scope="module")
def deploy(emulator: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[str, Path]]:
    """A function that creates a state machine from a file, with changes to its states; it returns the machine's ARN and
    the folder of the scripts."""
    session = botocore.session.get_session()
    functions, states = (session.create_client(name, endpoint_url=emulator) for name in ("lambda", "stepfunctions"))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("app.py", SCRIPTED_FUNCTION)
    suffix, scripts = uuid.uuid4().hex[:12], tmp_path_factory.mktemp("scripts")
    arns: dict[str, str] = {}
    for name, task in TASKS.items():
        created = functions.create_function(
            FunctionName=f"{task}-{suffix}",
            Runtime="python3.13",
            Role=ROLE,
            Handler="app.handler",
            Code={"ZipFile": archive.getvalue()},
            Timeout=20,
            Environment={"Variables": {"SCRIPTS": str(scripts), "TASK": task}},
        )
        arns[name] = created["FunctionArn"]

    def deployed(asl: Path = ASL, type: str = "STANDARD", **changes: Mapping[str, Any]) -> tuple[str, Path]:
        text = asl.read_text()
        for name, arn in arns.items():
            text = text.replace(f"${{{name}FunctionArn}}", arn)
        definition = yaml.safe_load(text)
        for state, fields in changes.items():
            definition["States"][state] |= fields
        name = f"machine-{uuid.uuid4().hex[:12]}"
        text = json.dumps(definition)
        made = states.create_state_machine(name=name, definition=text, roleArn=ROLE, type=type)
        return made["stateMachineArn"], scripts

    return deployed


@pytest.fixture(scope="module")
def deployed(deploy: Callable[..., tuple[str, Path]]) -> tuple[str, Path]:
    return deploy()


@pytest.fixture
def machine(deployed: tuple[str, Path], aws: botocore.session.Session) -> Machine:
    """The state machine generate_media, unchanged."""
    return Machine(aws.create_client("stepfunctions"), *deployed)


@pytest.fixture(scope="module")
def deployed_runs(deploy: Callable[..., tuple[str, Path]]) -> tuple[str, Path]:
    return deploy(RUNS)


@pytest.fixture
def runs(deployed_runs: tuple[str, Path], aws: botocore.session.Session) -> RunMachine:
    """The state machine run_pipeline, unchanged."""
    return RunMachine(aws.create_client("stepfunctions"), *deployed_runs)
