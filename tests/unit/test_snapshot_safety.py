"""Nothing of a function that must differ between its environments exists before its first request.

Environments that start from one snapshot (SnapStart), or that are forked from one process as on the local stack, share
what was there when it was taken: connections, secrets, the state of a random generator.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PRODUCT = ROOT / "layers/atelier/python"
# Prints what the imports of some app.py did: the events of files and sockets that the interpreter reports.
SCRIPT = """
import importlib.util, json, sys
connected = []
sys.addaudithook(lambda event, arguments: connected.append(event) if event.startswith("socket.connect") else None)
for number, path in enumerate(json.loads(sys.argv[1])):
    spec = importlib.util.spec_from_file_location(f"app{number}", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
imported = len(sys.modules)
import socket
with socket.socket() as one:
    one.connect_ex(("127.0.0.1", 9))
print(json.dumps({"before": connected[:-1], "last": connected[-1], "modules": imported}))
"""


def test_importing_a_function_opens_no_connection() -> None:
    apps = [str(path) for path in sorted(ROOT.glob("functions/**/app.py")) if "studio" not in path.parts]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PRODUCT),
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_SERVICE_NAME": "atelier",
    }
    command = [sys.executable, "-c", SCRIPT, json.dumps(apps)]
    found = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    assert found["before"] == []
    assert found["last"] == "socket.connect", "the hook sees connections"
    assert found["modules"] > len(apps)


def test_no_module_draws_from_the_generator_that_is_seeded_at_import() -> None:
    # `Random(seed)` is a generator of its own, `SystemRandom` asks the operating system.
    shared = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in PRODUCT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and any(name.name == "random" for name in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "random" and {n.name for n in node.names} != {"Random"})
    ]
    assert shared == []
