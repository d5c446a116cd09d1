"""A process that has imported the functions' libraries, and forks itself into a Lambda worker on request.

A worker that starts as a fresh interpreter spends most of its start on importing the same libraries as all others. The
emulator's process starts the zygote (`python -P zygote.py <descriptor of a socket>`; `worker_pool.py`), which ends when
that process does. Only libraries are imported here: the worker imports the product and its function, as on Lambda.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from contextlib import suppress
from functools import cache
from types import CodeType
from typing import Any, NoReturn

# What functions import besides the standard library. One that is missing here fails in the worker that imports it.
LIBRARIES = (
    "argon2",
    "aws_lambda_powertools.metrics",
    "botocore.httpsession",
    "botocore.session",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "cryptography.hazmat.primitives.asymmetric.padding",
    "cryptography.hazmat.primitives.ciphers.aead",
    "cryptography.hazmat.primitives.serialization",
    "httpx",
    "isal.isal_zlib",
    "PIL.ImageChops",
    "PIL.ImageDraw",
    "PIL.ImageFilter",
    "PIL.ImageFont",
    "PIL.ImageOps",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "PIL.WebPImagePlugin",
    "pydantic.main",
    "pydantic.types",
    "pynamodb.models",
    "pynamodb.transactions",
)
# The services whose SDK descriptions are read ahead; reading them takes half of a first request's time.
SERVICES = ("dynamodb", "events", "s3", "secretsmanager", "sqs", "stepfunctions")
MESSAGE_BYTES_MAX = 1024 * 1024
# The variable with a function's absent packages, comma separated; see layer_packages.py.
ABSENT_PACKAGES = "LOCAL_ABSENT_PACKAGES"


def main() -> None:
    """Serve fork requests one after the other; in a forked process, run the worker's script. Does not return."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for library in LIBRARIES:
        try:
            importlib.import_module(library)
        except ImportError:
            continue
    _preload_service_models()

    # The garbage collector must not touch what is imported: untouched memory stays shared with the workers.
    gc.collect()
    gc.freeze()
    # With batch scheduling a worker that wakes up does not interrupt the emulator, for which all workers wait. Its
    # share of processor time stays the same.
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    # This process does not wait for its workers: the emulator holds a descriptor that tells when one has ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    while True:
        message, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES_MAX, 3)
        if not message:
            os._exit(0)
        request = json.loads(message)
        code = _compile_script(request["script"])
        worker = os.fork()
        if worker == 0:
            control.close()
            _become_worker(request, descriptors)
            _run_script(code, request["path"])
        for descriptor in descriptors:
            os.close(descriptor)
        _send_worker(control, worker)


def _preload_service_models() -> None:
    """Read the services' descriptions once, and let every SDK session of a worker start with them."""
    import botocore.session
    from botocore.loaders import Loader, create_loader

    shared_loader = create_loader()
    for service in SERVICES:
        shared_loader.load_service_model(service, "service-2")
        shared_loader.load_service_model(service, "endpoint-rule-set-1")
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        shared_loader.load_data(name)

    def loader(search_path_string: str | None = None) -> Loader:
        return create_loader(search_path_string) if search_path_string else shared_loader

    botocore.session.create_loader = loader


@cache
def _compile_script(script: str) -> CodeType:
    return compile(script, "worker", "exec", dont_inherit=True)


def _send_worker(control: socket.socket, worker: int) -> None:
    try:
        lifeline = os.pidfd_open(worker)
    except ProcessLookupError:
        control.send(json.dumps(None).encode())
        return
    socket.send_fds(control, [json.dumps(worker).encode()], [lifeline])
    os.close(lifeline)


def _become_worker(request: dict[str, Any], descriptors: list[int]) -> None:
    """Make this forked process look like a fresh interpreter with these standard streams and this environment."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for place, descriptor in enumerate(descriptors):
        os.dup2(descriptor, place)
        os.close(descriptor)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = [request["path"]]
    sys.path.insert(0, os.path.dirname(request["path"]))
    _do_without(frozenset(os.environ.get(ABSENT_PACKAGES, "").split(",")) - {""})


def _do_without(packages: frozenset[str]) -> None:
    """Let imports of these packages fail, as on Lambda, where the function has no layer with them."""
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]
    sys.meta_path.insert(0, AbsentPackages(packages))


class AbsentPackages:
    """An import finder that finds no module of some packages, and none after it does."""

    def __init__(self, packages: frozenset[str]) -> None:
        self._packages = packages

    def find_spec(self, name: str, *_: object) -> None:
        """Raises ModuleNotFoundError for a module of these packages; leaves all others to the next finder."""
        if name.partition(".")[0] in self._packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _run_script(code: CodeType, path: str) -> NoReturn:
    """Run the worker's script, and end the process without freeing what was imported. Freeing takes each worker a tenth
    of a second of processor time or more, and copies the memory that it shares with all others; when a stack stops, its
    workers end all at once."""
    status = 1
    try:
        exec(code, {"__name__": "__main__", "__file__": path})  # nosec B102 - the emulator's own script
        status = 0
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
