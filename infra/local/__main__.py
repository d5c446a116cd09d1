"""`python -m infra.local`: what `make run` starts."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.local.payments import Payments
    from infra.local.stack import StackOptions
    from infra.simulators.all import Simulators
    from infra.simulators.streaming.mux import MuxSimulator

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        from infra.local.payments import PaymentsError, choose_payments
        from infra.local.serve import ServeOptions, serve
        from infra.simulators.all import run_all
    except ModuleNotFoundError as error:
        print(
            f"atelier: the Python module {error.name} is missing; `make run` installs what is needed", file=sys.stderr
        )
        return 1
    try:
        payments = choose_payments(Path(chosen.data).resolve(), os.environ)
    except PaymentsError as error:
        print(f"atelier: {error}", file=sys.stderr)
        return 1
    with run_all() if chosen.simulators else nullcontext() as simulators, _streaming(chosen) as streaming:
        return serve(
            ServeOptions(
                _options(chosen, simulators, payments, streaming),
                chosen.port,
                with_demo=bool(chosen.demo),
                with_watch=bool(chosen.watch),
                simulators=simulators,
            )
        )


def _streaming(arguments: argparse.Namespace) -> AbstractContextManager[MuxSimulator | None]:
    """The simulator of the streaming service, which runs with the others. On a port that is not known yet it sends no
    webhooks; then the schedule asks it."""
    from infra.simulators.streaming.mux import MuxSimulator

    if not arguments.simulators:
        return nullcontext()
    address = f"http://localhost:{arguments.port}/api/webhooks/mux" if arguments.port else ""
    return MuxSimulator(webhook_url=address)


def _options(
    arguments: argparse.Namespace, simulators: Simulators | None, payments: Payments, streaming: MuxSimulator | None
) -> StackOptions:
    from infra.local.identity_providers import SimulatedIdentityProviders
    from infra.local.stack import StackOptions

    # A receiver that somebody tries webhooks out with is on this machine.
    parameters = {"WebhookHosts": "localhost:*,127.0.0.1:*"}
    parameters |= dict(pair.split("=", 1) for pair in arguments.parameter)
    urls: dict[str, str] = simulators.urls if simulators else {}
    urls |= dict(pair.split("=", 1) for pair in arguments.provider_url)
    secrets: dict[str, object] = simulators.secrets if simulators else {}
    if arguments.provider_secrets_file:
        secrets |= json.loads(Path(arguments.provider_secrets_file).read_text("utf-8"))
    if urls:
        # Parameters given with --parameter win over those derived from the providers' addresses.
        parameters = {
            "ProviderUrls": ",".join(f"{provider}={url}" for provider, url in urls.items()),
            "Providers": ",".join(["local", *urls]),
        } | parameters
    if streaming is not None:
        parameters["ProviderUrls"] = ",".join(filter(None, [parameters.get("ProviderUrls"), f"mux={streaming.url}"]))
        secrets["mux"] = streaming.access
        print(f"mux       {streaming.url}   curl -X POST {streaming.url}/_simulator/camera is a camera for livestreams")
    return StackOptions(
        root=ROOT,
        data=Path(arguments.data).resolve(),
        parameters=parameters,
        provider_secrets=secrets,
        enforce_policies=not arguments.no_policies,
        payments=payments,
        identity_providers=SimulatedIdentityProviders(),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description="The whole stack on this machine.")
    parser.add_argument("--port", type=int, default=8080, help="where the edge listens on loopback; 0 = any free port")
    parser.add_argument("--data", default=".local", help="folder that keeps the state")
    parser.add_argument("--demo", type=int, choices=(0, 1), default=1, help="make a picture before serving on")
    parser.add_argument("--watch", type=int, choices=(0, 1), default=1, help="redeploy what changes while it runs")
    parser.add_argument("--simulators", type=int, choices=(0, 1), default=0, help="enable all providers, stood in for")
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="a parameter of template.yaml"
    )
    parser.add_argument(
        "--provider-url", action="append", default=[], metavar="ID=URL", help="where a provider's API is; turns it on"
    )
    parser.add_argument("--provider-secrets-file", help='JSON file {"openai": {"api_key": …}, …}')
    parser.add_argument("--no-policies", action="store_true", help="do not enforce the functions' IAM policies")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
