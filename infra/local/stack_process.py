"""A local stack as a child process, for tests and benchmarks: what `make run` starts, with access to its AWS."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from infra.local.deploy import TRANSLATED_FILE, Aws
from infra.local.stack import HANDLES_FILE

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 180.0
STOP_SECONDS_MAX = 30.0


class NotReady(Exception):
    """The stack ended before it was ready; the text is what it printed."""


class RunningStack:
    """One process of `python -m infra.local`. Use it as a context manager, or call `start` and `stop`.

    data: the folder that keeps its state; started on the same folder again, it is the same stack. parameters: of
    template.yaml. arguments: further command line arguments (`--watch 1` redeploys what changes). root: the repository,
    or a copy of it. python: the interpreter; None = the one that runs this."""

    # By repository, the translated template of the stack that this process started last: the next one takes it, if no
    # source of it has changed, because translating takes seconds.
    _translated: ClassVar[dict[Path, Path]] = {}

    def __init__(
        self,
        data: Path,
        *,
        parameters: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        port: int = 0,
        root: Path = ROOT,
        python: Path | None = None,
    ) -> None:
        self.data = data
        self._root = root
        self._python = str(python or sys.executable)
        self.lines: list[str] = []
        self._arguments = ["--port", str(port), "--data", str(data), "--demo", "0", "--watch", "0", *arguments]
        for name, value in (parameters or {}).items():
            self._arguments += ["--parameter", f"{name}={value}"]
        self._process: subprocess.Popen[str] | None = None
        self._handles: dict[str, Any] = {}

    def start(self) -> RunningStack:
        """Starts the stack and returns when it is ready; raises NotReady. `lines` collects what it prints."""
        self.lines = []
        own, known = self.data / TRANSLATED_FILE, RunningStack._translated.get(self._root)
        if known and known.exists() and not own.exists():
            own.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(known, own)
        self._process = subprocess.Popen(
            [self._python, "-m", "infra.local", *self._arguments],
            cwd=self._root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ready = threading.Event()
        threading.Thread(target=self._collect_output, args=(self._process, ready), daemon=True).start()
        if not ready.wait(START_SECONDS_MAX):
            self._process.kill()
        if not any("ready at" in line for line in self.lines):
            self._process.wait(STOP_SECONDS_MAX)
            raise NotReady("\n".join(self.lines))
        self._handles = json.loads((self.data / HANDLES_FILE).read_text("utf-8"))
        RunningStack._translated[self._root] = own
        return self

    def stop(self, signal_number: signal.Signals = signal.SIGTERM) -> int:
        """Ends the process with a signal; returns its exit code (negative = the signal that ended it)."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(signal_number)
        return process.wait(STOP_SECONDS_MAX)

    def __enter__(self) -> RunningStack:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """The URL of the edge, which clients use."""
        return str(self._handles["base_url"])

    @property
    def endpoint(self) -> str:
        """The URL of the embedded AWS."""
        return str(self._handles["endpoint"])

    @property
    def emulator_process_id(self) -> int:
        """The process id of the embedded AWS."""
        return int(self._handles["emulator_process_id"])

    @property
    def outputs(self) -> Mapping[str, str]:
        """The outputs of template.yaml."""
        return dict(self._handles["outputs"])

    def aws(self) -> Aws:
        """Clients of the embedded AWS."""
        return Aws(self.endpoint)

    def resource(self, logical_id: str) -> str:
        """The physical id of a resource. The logical id of a nested stack's resource is `<stack><resource>`, for
        example DataLedgerTable."""
        return str(self._handles["resources"][logical_id])

    def table(self, context: str) -> str:
        """The table of a context: identity, ledger, generations, library, inbox, providers, requests."""
        return self.resource(f"Data{context.capitalize()}Table")

    def invoke(self, function: str, event: object) -> Any:
        """Invokes a function (by its logical id) with an event; returns its result."""
        answer = (
            self.aws().client("lambda").invoke(FunctionName=self.resource(function), Payload=json.dumps(event).encode())
        )
        return json.load(answer["Payload"])

    def _collect_output(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line.rstrip())
            if "ready at" in line:
                ready.set()
        ready.set()
