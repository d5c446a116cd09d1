"""Row 3: the time of one warm request without any I/O: what the product's code and its libraries take.

Run as a program (`python warm_request.py ours|typical`) it serves the same balance many times in this process. Ours is
the deployed `functions/api/credits/app.py` with its routes, authorization, rate limiter and use case; only the
composition root is replaced, so that the wallet comes from memory, not from the table.
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parent.parent.parent
REQUESTS = 2000
WARM_UP = 200
ENVIRONMENT = {
    "PYTHONPATH": f"{ROOT / 'layers/atelier/python'}:{ROOT}",
    "AWS_DEFAULT_REGION": "us-east-1",
    "POWERTOOLS_SERVICE_NAME": "bench",
    "POWERTOOLS_METRICS_NAMESPACE": "Bench",
}


def rows() -> list[object]:
    from tests.bench.measure import Result, run_alternately

    sides = {side: ([__file__, side], ENVIRONMENT) for side in ("ours", "typical")}
    found = run_alternately(sides, processes=5)
    ours, typical = found["ours"]["microseconds"], found["typical"]["microseconds"]
    return [Result(3, "warm request", ours, typical, "µs", ratio_max=0.5)]


def ours() -> Callable[[], dict[str, Any]]:
    """A call that serves a request by the credits function, with a wallet in memory."""
    from atelier.caller import Caller
    from atelier.clock import system_clock
    from atelier.identity.authorize import authorize
    from atelier.identity.rate_limit import SparseLimiter
    from atelier.ids import new_id
    from atelier.ledger import refresh
    from atelier.ledger.model import DailyCreditRule, Grant, GrantSource, Wallet

    now = system_clock()
    workspace, user = new_id("wsp", now), new_id("usr", now)
    grant = Grant("grt_daily", GrantSource.DAILY, 50, 46, 4, 10, now, now + timedelta(days=1))
    wallet = Wallet(workspace, "free", 46, 4, 0, 1, 1, (grant,), now + timedelta(days=1), None)

    class Wallets:
        def wallet(self, workspace_id: str) -> Wallet:
            assert workspace_id == workspace
            return wallet

    class Windows:
        def add(self, *_: Any) -> int:
            return 1

    def gate(claims: Any, workspace_id: str | None, permission: str, *, fresh: bool, step_up: Any, now: Any) -> Caller:
        found = authorize(claims, workspace_id, permission, fresh=fresh, access_reads=None, now=now)  # pyright: ignore
        return Caller(found.user_id, found.workspace_id, found.role.value, found.session_id)

    limiter = SparseLimiter(Windows, 10**9)  # pyright: ignore
    admission, ledger = ModuleType("atelier.wiring.auth"), ModuleType("atelier.wiring.ledger")
    admission.gate, admission.limiter = lambda: gate, lambda: limiter  # pyright: ignore
    ledger.wallets = Wallets  # pyright: ignore
    ledger.daily_grant = lambda tier: DailyCreditRule(50)  # pyright: ignore
    ledger.refresh_wallet = lambda workspace_id, now: refresh.refresh_wallet(  # pyright: ignore
        workspace_id,
        wallets=Wallets(),
        daily_credits_of=ledger.daily_grant,
        now=now,  # pyright: ignore
    )
    replace_wiring(admission, ledger)
    claims = {"user_id": user, "workspace_id": workspace, "session_id": new_id("ses", now), "expires_at": 2**40}
    return serve_credits("functions/api/credits", {"lambda": claims})


def replace_wiring(*modules: ModuleType) -> None:
    """Replace modules of the composition root by these, before the function imports them."""
    import atelier.wiring

    for module in modules:
        sys.modules[module.__name__] = module
        setattr(atelier.wiring, module.__name__.rpartition(".")[2], module)


def typical() -> Callable[[], dict[str, Any]]:
    """A call that serves a request by the typical function, which has no table and answers from memory."""
    return serve_credits("tests/bench/typical", {})


def serve_credits(folder: str, authorizer: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """A call that serves GET /api/credits by the app.py in `folder`."""
    from tests.bench.first_request import Context

    sys.path.insert(0, str(ROOT / folder))
    import app

    event = {
        "version": "2.0",
        "routeKey": "ANY /api/credits",
        "rawPath": "/api/credits",
        "rawQueryString": "",
        "headers": {"accept": "application/json", "atelier-viewer-address": "203.0.113.7", "host": "localhost"},
        "requestContext": {
            "requestId": "bench",
            "stage": "$default",
            "http": {"method": "GET", "path": "/api/credits", "sourceIp": "203.0.113.7", "protocol": "HTTP/1.1"},
            "authorizer": authorizer,
        },
        "isBase64Encoded": False,
    }
    # As on Lambda, each request decodes its own event.
    text = json.dumps(event)
    return lambda: app.handler(json.loads(text), Context())


def main(side: Callable[[], Callable[[], dict[str, Any]]]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        serve = side()
        answer = serve()
        assert answer["statusCode"] == 200, answer
        times: list[float] = []
        for _ in range(WARM_UP + REQUESTS):
            started = time.perf_counter()
            serve()
            times.append((time.perf_counter() - started) * 1e6)
    print(json.dumps({"microseconds": statistics.median(times[WARM_UP:])}))


if __name__ == "__main__":
    main({"ours": ours, "typical": typical}[sys.argv[1]])
