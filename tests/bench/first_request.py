"""Run in a fresh process: imports a function's app.py, serves one request, prints time and memory as JSON.

Usage: python first_request.py <app.py, or - for none> <event.json> <directories of the import path>
In the event, `process-number` stands for the number of this process.
"""

import time

started = time.perf_counter()

import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402


class Context:
    """The context object that Lambda passes to a handler."""

    function_name = "bench"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:bench"
    aws_request_id = "bench"

    def get_remaining_time_in_millis(self) -> int:
        return 15_000


def resident_mebibytes() -> float:
    """Memory in use now. getrusage's peak would be wrong, because a child starts with its parent's peak."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def main() -> None:
    app, event, path = sys.argv[1:4]
    status = 0
    if app != "-":
        sys.path[:0] = [os.path.dirname(app), *filter(None, path.split(os.pathsep))]
        import app as function

        with open(event) as request:
            text = request.read().replace("process-number", str(os.getpid()))
        status = function.handler(json.loads(text), Context())["statusCode"]
    elapsed = (time.perf_counter() - started) * 1000
    print(json.dumps({"milliseconds": elapsed, "mebibytes": resident_mebibytes(), "status": status}))


if __name__ == "__main__":
    main()
