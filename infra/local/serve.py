"""Runs the local stack until it is stopped: locks the data, listens, starts, deploys, runs the demo, redeploys
changes."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import aiohttp

from infra.local import alarms, demo, demo_month, demo_sign_in, mail, payments
from infra.local.alarms import LocalAlarms
from infra.local.demo_sign_in import DemoSignIn
from infra.local.deploy import DeploymentError, DeploymentUnfinished
from infra.local.distribution import read_distribution
from infra.local.edge import Edge, PortInUse
from infra.local.emulator import EmulatorError, missing_packages
from infra.local.mail import LocalMail
from infra.local.payments import PaymentsError
from infra.local.stack import SOURCE_ERRORS, DataInUse, Stack, StackOptions
from infra.simulators.all import FALLBACK_MARKER, Simulators

# Expected failures: their text is one sentence that explains the reason, so no traceback is shown.
EXPECTED_ERRORS = (PortInUse, DataInUse, EmulatorError, DeploymentUnfinished, PaymentsError, *SOURCE_ERRORS)
WATCHED = ("functions", "layers/atelier", "layers/studio", "statemachines", "infra", "template.yaml")
WATCHED_SUFFIXES = (".py", ".yaml", ".json", ".txt", ".html", ".css", ".js", ".svg")
WATCH_SECONDS = 0.7
READY_SECONDS_MAX = 20.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """options: of the stack. port: 0 = any free one. with_watch: redeploy what changes. simulators: the simulators that
    the stack uses; their addresses are printed."""

    options: StackOptions
    port: int
    with_demo: bool
    with_watch: bool = True
    simulators: Simulators | None = None


class StopRequested(Exception):
    """The person at the terminal, or the system, asked to stop."""


def serve(serving: ServeOptions) -> int:
    """Runs until SIGINT or SIGTERM; returns the exit code. Prints one sentence about a failure."""
    try:
        asyncio.run(_serve(serving))
    except StopRequested:
        return 0
    except EXPECTED_ERRORS as error:
        _print_line(str(error))
        return 1
    return 0


def _print_line(text: str) -> None:
    print(f"atelier: {text}", flush=True)


async def _serve(serving: ServeOptions) -> None:
    started = time.monotonic()
    options = serving.options
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)

    stack = Stack(options)
    sign_in = DemoSignIn(options.data / demo.ACCOUNT_FILE)
    pages = {demo_sign_in.PATH: sign_in.answer} if serving.with_demo else {}
    pages[mail.PATH] = LocalMail(lambda: stack.emulator.endpoint).answer
    watched = LocalAlarms(lambda: stack.aws, lambda: stack.resources, options.root, _print_line)
    pages[alarms.PATH] = watched.answer
    if isinstance(options.payments, payments.Simulation):
        pages[payments.PATH] = options.payments.answer
    if options.identity_providers:
        pages |= options.identity_providers.pages
    edge = Edge(
        read_distribution(options.root / "infra/edge.yaml", stack.parameters["FrontendOrigins"]), local_pages=pages
    )
    stack.lock_data()

    try:
        port = await edge.listen(serving.port)
        modified = _modification_times(options.root)
        edge.serve(await _run_until_stopped(stop, asyncio.to_thread(stack.start, f"http://localhost:{port}")))
        await _run_until_stopped(stop, _wait_until_ready(port))
        if options.payments:
            options.payments.serve()
            if options.payments.needs_reconciling:
                await asyncio.to_thread(stack.reconcile_billing)
        await asyncio.to_thread(demo_month.resume, stack.aws, stack.resources, options.data)
        for note in (*stack.emulator.notes, *missing_packages(), *stack.notes):
            _print_line(note)
        taken = time.monotonic() - started
        _print_line(
            f"ready at http://localhost:{port} after {taken:.1f} s; state is kept in {options.data}; Ctrl-C stops it"
        )
        print(f"mails: http://localhost:{port}{mail.PATH}", flush=True)
        print(f"alarms: http://localhost:{port}{alarms.PATH}", flush=True)
        for line in options.payments.lines if options.payments else ():
            print(line, flush=True)
        for line in serving.simulators.usage_lines(f"http://localhost:{port}") if serving.simulators else ():
            print(line, flush=True)
        work: list[Awaitable[None]] = [_watch_emulator(stack)]
        if serving.with_watch:
            work.append(_redeploy_changes(stack, edge, options.root, modified))
        if serving.with_demo:
            base_url = f"http://localhost:{port}"
            marker = FALLBACK_MARKER if serving.simulators else None
            make_month = partial(demo_month.make_month, stack.aws, stack.resources, options.root, options.data)
            demonstration = demo.run_demo(base_url, options.data, sign_in.link_path, make_month, marker)
            work.append(_run_demo_and_watch(demonstration, watched))
        else:
            work.append(watched.watch())
        await _run_until_stopped(stop, asyncio.gather(*work))
    finally:
        await edge.close()
        await asyncio.to_thread(stack.stop)


async def _run_demo_and_watch(demonstration: Awaitable[None], watched: LocalAlarms) -> None:
    """The alarms come after the demo: its month of usage is sealed weeks after the times of its movements."""
    await demonstration
    watched.begin()
    await watched.watch()


async def _run_until_stopped(stop: asyncio.Event, work: Awaitable[T]) -> T:
    """The result of `work`; raises Stopped and cancels the work as soon as `stop` is set."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        raise StopRequested
    stopping.cancel()
    return await working


async def _wait_until_ready(port: int) -> None:
    """Waits until a request has passed through the edge and the whole stack; raises DeploymentError when none does."""
    status = 0
    deadline = time.monotonic() + READY_SECONDS_MAX
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                status = answer.status
                if status == 200:
                    return
            await asyncio.sleep(0.2)
    raise DeploymentError(f"the stack is deployed, but /healthz answers {status}")


async def _watch_emulator(stack: Stack) -> None:
    """Watches the embedded AWS. Never returns; raises EmulatorError when the process dies. Prints when its state can no
    longer be written, and when it can again."""
    failure = ""
    while stack.emulator.running:
        await asyncio.sleep(0.5)
        if stack.emulator.failure != failure:
            failure = stack.emulator.failure
            _print_line(
                f"the state cannot be written, and would be lost: {failure}"
                if failure
                else "the state is written again"
            )
    raise EmulatorError("the embedded AWS has died; its last words are in emulator.log in the data folder")


async def _redeploy_changes(stack: Stack, edge: Edge, root: Path, seen: frozenset[tuple[str, int]]) -> None:
    """Deploys again whenever a file has changed since `seen`. After a mistake in the sources it prints the reason and
    waits for the next change."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        now = await asyncio.to_thread(_modification_times, root)
        if now == seen:
            continue
        seen = now
        try:
            deployed = await asyncio.to_thread(stack.deploy)
        except EXPECTED_ERRORS as error:
            _print_line(f"not redeployed: {error}")
            continue
        edge.serve(stack.origins(deployed))
        for note in stack.notes:
            _print_line(note)
        if deployed.changed:
            functions = [name for name in deployed.changed if name.endswith("Function")]
            names = functions if 0 < len(functions) < 4 else [f"{len(deployed.changed)} resources"]
            _print_line(f"redeployed {', '.join(names)}")


def _modification_times(root: Path) -> frozenset[tuple[str, int]]:
    state: set[tuple[str, int]] = set()
    for name in WATCHED:
        place = root / name
        for path in [place] if place.is_file() else place.rglob("*"):
            if path.suffix in WATCHED_SUFFIXES and "__pycache__" not in path.parts:
                try:
                    state.add((str(path), path.stat().st_mtime_ns))
                except FileNotFoundError:
                    # The file went between listing and reading its time: an editor is saving.
                    continue
    return frozenset(state)
