"""`python -m infra.local`: what `make run` starts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        from infra.local.serve import Serving, serve
        from infra.local.stack import Options
    except ModuleNotFoundError as error:
        print(
            f"atelier: the Python module {error.name} is missing; `make run` installs what is needed", file=sys.stderr
        )
        return 1
    parameters: dict[str, str] = dict(pair.split("=", 1) for pair in chosen.parameter)
    if chosen.replicate_url:
        parameters |= {"ReplicateUrl": chosen.replicate_url, "Providers": "local,replicate"}
    secret = Path(chosen.replicate_secret_file).read_text("utf-8") if chosen.replicate_secret_file else None
    options = Options(
        root=ROOT,
        data=Path(chosen.data).resolve(),
        parameters=parameters,
        replicate_secret=secret,
        enforce_policies=not chosen.no_policies,
    )
    return serve(Serving(options, chosen.port, with_demo=bool(chosen.demo), with_watch=bool(chosen.watch)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description="The whole stack on this machine.")
    parser.add_argument("--port", type=int, default=8080, help="where the edge listens on loopback; 0 = any free port")
    parser.add_argument("--data", default=".local", help="folder that keeps the state")
    parser.add_argument("--demo", type=int, choices=(0, 1), default=1, help="make a picture before serving on")
    parser.add_argument("--watch", type=int, choices=(0, 1), default=1, help="redeploy what changes while it runs")
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="a parameter of template.yaml"
    )
    parser.add_argument("--replicate-url", help="where Replicate's API is; turns the provider on")
    parser.add_argument("--replicate-secret-file", help='JSON file {"api_token": …, "webhook_secret": …}')
    parser.add_argument("--no-policies", action="store_true", help="do not enforce the functions' IAM policies")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
