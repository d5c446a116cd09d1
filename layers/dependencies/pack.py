"""Pack one layer: install its pinned wheels for Lambda, drop what Lambda never reads, compile the rest.

Usage: python3.13 pack.py <layer> <directory>, where the layer is one of the folders beside this file. The interpreter
must be the one of Lambda: bytecode belongs to a version. The machine may be any, since only wheels are taken and
nothing of them is executed.
"""

from __future__ import annotations

import compileall
import gzip
import json
import py_compile
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

HERE = Path(__file__).parent
LAMBDA_PYTHON = (3, 13)
# Lambda's python3.13 stands on Amazon Linux 2023, glibc 2.34; wheels built against an older one run there too.
PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in range(34, 16, -1)] + ["manylinux2014_aarch64"]

# The services that the product calls, by their folder in botocore/data; the other four hundred stay behind.
SERVICES = frozenset(
    {
        *("apigatewaymanagementapi", "cloudformation", "cloudwatch", "dynamodb", "dynamodbstreams", "events"),
        *("kms", "lambda", "logs", "s3"),
        *("scheduler", "secretsmanager", "service-quotas", "sesv2", "sqs", "stepfunctions", "sts"),
    }
)
# The operations that the product and PynamoDB name; a client is made without the others, which are nine tenths of the
# models.
OPERATIONS = {
    "apigatewaymanagementapi": "DeleteConnection PostToConnection",
    "cloudformation": "DescribeStacks GetTemplate ListExports ValidateTemplate",
    "cloudwatch": "DescribeAlarms GetMetricData",
    "dynamodb": (
        "BatchGetItem BatchWriteItem CreateTable DeleteItem DeleteTable DescribeExport DescribeImport "
        "DescribeTable DescribeTimeToLive ExportTableToPointInTime GetItem ImportTable ListBackups ListExports "
        "ListTables PutItem Query Scan TransactGetItems TransactWriteItems UpdateItem UpdateTable "
        "UpdateTimeToLive"
    ),
    "dynamodbstreams": "GetRecords GetShardIterator",
    "events": "CreateConnection CreateEndpoint DeleteConnection ListEndpoints PutEvents",
    "kms": "Decrypt Encrypt GenerateDataKey ListKeys Sign Verify",
    "lambda": "GetAccountSettings Invoke ListEventSourceMappings",
    "logs": "FilterLogEvents GetDelivery ListIntegrations StartQuery",
    "s3": (
        "AbortMultipartUpload CompleteMultipartUpload CopyObject CreateMultipartUpload DeleteObject "
        "DeleteObjects GetObject HeadObject ListMultipartUploads ListObjectVersions ListObjectsV2 ListParts "
        "PutObject UploadPart"
    ),
    "scheduler": "GetSchedule ListSchedules",
    "secretsmanager": "GetSecretValue PutSecretValue RotateSecret",
    "service-quotas": "GetServiceQuota",
    "sesv2": "GetAccount SendEmail",
    "sqs": "ChangeMessageVisibility DeleteMessage GetQueueAttributes ReceiveMessage SendMessage",
    "stepfunctions": "DescribeExecution SendTaskFailure SendTaskSuccess StartExecution",
    "sts": "",
}
# The services, by the name that their host begins with: the index of endpoints.json.
ENDPOINTS = frozenset(
    {
        *("cloudformation", "dynamodb", "email", "events", "execute-api", "kms", "lambda", "logs", "monitoring"),
        *("s3", "scheduler", "secretsmanager", "servicequotas", "sqs", "states", "streams.dynamodb", "sts"),
    }
)
# Layers of functions that do not take the runtime layer, and that layer itself.
ALONE = frozenset({"runtime", "studio"})
# What compilers and type checkers read.
SOURCES = frozenset({".c", ".h", ".pxd", ".pyi", ".pyx"})
# Of the ELF specification: sh_type NULL and NOBITS, sh_flags ALLOC.
SECTION_NONE, SECTION_WITHOUT_BYTES, SECTION_IN_MEMORY = 0, 8, 2
BYTECODE = py_compile.PycInvalidationMode.UNCHECKED_HASH


def pack(layer: str, destination: Path) -> None:
    """Fill `destination`/python with the packages of `layer`. Raises CalledProcessError if pip cannot install one."""
    python = destination / "python"
    python.mkdir(parents=True, exist_ok=True)
    install(pins(layer), python)
    shutil.rmtree(python / "bin", ignore_errors=True)
    for folder in [*python.rglob("tests"), *python.rglob("__pycache__")]:
        shutil.rmtree(folder)
    for source in (path for path in python.rglob("*") if path.suffix in SOURCES):
        source.unlink()
    for library in list(python.rglob("*.so.*")):
        # A wheel cannot hold links: it has the same library under each of its names, of which the plain one is loaded.
        plain = library.with_name(library.name.partition(".so")[0] + ".so")
        if plain.exists() and plain.read_bytes() == library.read_bytes():
            library.unlink()
    for library in python.rglob("*.so*"):
        library.write_bytes(stripped(library.read_bytes()))
    if (python / "botocore").exists():
        trim_botocore(python / "botocore")
    # Unchecked hashes: Lambda unpacks a layer with times of its own, and what it unpacks never changes.
    if not compileall.compile_dir(
        python, quiet=1, workers=0, invalidation_mode=BYTECODE, stripdir=destination, prependdir="/opt"
    ):
        sys.exit(f"pack.py: a module of the {layer} layer does not compile")


def pins(layer: str) -> str:
    """The lock of `layer`, without what the runtime layer already brings to the functions that take both."""
    brought = set[str]() if layer in ALONE else {name for name, _ in blocks("runtime")}
    return "\n".join(block for name, block in blocks(layer) if name not in brought)


def blocks(layer: str) -> list[tuple[str, str]]:
    """The lock of `layer` as (package name, its pin and hashes)."""
    lock = (HERE / layer / "requirements.txt").read_text()
    starts = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)
    return [(block.partition("==")[0], block) for block in starts if "==" in block]


def install(pinned: str, python: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lock:
        lock.write(pinned)
        lock.flush()
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        command += ["--root-user-action", "ignore"]
        command += ["--no-deps", "--require-hashes", "--requirement", lock.name, "--target", str(python)]
        command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.13", "--abi", "cp313"]
        command += ["--abi", "abi3", "--abi", "none"]
        command += [argument for platform in PLATFORMS for argument in ("--platform", platform)]
        subprocess.run(command, check=True)


# What botocore takes from botocore.docs to make a client. Help texts are made when somebody asks for them; on Lambda
# nobody does, and importing what makes them is 25 ms of a cold start.
WITHOUT_HELP = """class _Silent(str):
    def __new__(cls, *_args, **_kwargs):
        return super().__new__(cls)


ClientMethodDocstring = PaginatorDocstring = WaiterDocstring = _Silent
"""


def stripped(library: bytes) -> bytes:
    """A 64-bit ELF library without what only debuggers and linkers read: a quarter of what some wheels weigh.

    The loader goes by program headers alone, so section headers go, and what belongs to no memory (symbols and debug
    information) becomes zeros, which weigh nothing when packed. Nothing moves: some wheels have segments behind it."""
    if library[:6] != b"\x7fELF\x02\x01":
        return library
    programs_at, sections_at = struct.unpack_from("<QQ", library, 32)
    program_bytes, programs, section_bytes, sections = struct.unpack_from("<HHHH", library, 54)
    kept = bytearray(library)
    end = programs_at + programs * program_bytes
    for at in range(programs_at, end, program_bytes):
        offset, size = struct.unpack_from("<Q16xQ", library, at + 8)
        end = max(end, offset + size)
    for at in range(sections_at, sections_at + sections * section_bytes, section_bytes):
        kind, flags, _, offset, size = struct.unpack_from("<IQQQQ", library, at + 4)
        if kind not in (SECTION_NONE, SECTION_WITHOUT_BYTES) and not flags & SECTION_IN_MEMORY:
            kept[offset : offset + size] = bytes(size)
    struct.pack_into("<Q", kept, 40, 0)
    struct.pack_into("<HHH", kept, 58, 64, 0, 0)
    return bytes(kept[:end])


def trim_botocore(botocore: Path) -> None:
    """Keep the services we call, without their prose; it is nine tenths of botocore, and none of it is executed."""
    for module in (botocore / "docs").iterdir():
        # What says which parameters are for no caller is asked when a client is made.
        if module.name != "utils.py":
            shutil.rmtree(module) if module.is_dir() else module.unlink()
    (botocore / "docs" / "__init__.py").touch()
    (botocore / "docs" / "docstring.py").write_text(WITHOUT_HELP)
    data = botocore / "data"
    for service in data.iterdir():
        if service.is_dir() and service.name not in SERVICES:
            shutil.rmtree(service)
    for model in [*data.rglob("*.json.gz"), *data.rglob("*.json")]:
        raw = model.read_bytes()
        content = json.loads(gzip.decompress(raw) if model.suffix == ".gz" else raw)
        if model.name.startswith("examples-1"):
            model.unlink()
            continue
        if model.name == "endpoints.json":
            content = trim_endpoints(content)
        if model.name.startswith("service-2.json"):
            content = trim_operations(content, OPERATIONS[model.parent.parent.name].split())
        # Plain JSON: the layer's zip compresses it just as well, and a cold start need not unpack it twice.
        model.unlink()
        text = json.dumps(without_prose(content), separators=(",", ":"))
        model.with_name(model.name.removesuffix(".gz")).write_text(text)


def trim_endpoints(content: dict[str, Any]) -> dict[str, Any]:
    for partition in content["partitions"]:
        partition["services"] = {name: at for name, at in partition["services"].items() if name in ENDPOINTS}
    return content


def trim_operations(content: dict[str, Any], kept: list[str]) -> dict[str, Any]:
    """A service's model with these operations, and with the shapes that they and the service's errors consist of."""
    shapes: dict[str, Any] = content["shapes"]
    operations = {name: operation for name, operation in content["operations"].items() if name in kept}
    needed = {name for name, shape in shapes.items() if shape.get("exception")}
    waiting = [*operations.values(), *(shapes[name] for name in needed)]
    while waiting:
        for name in references(waiting.pop()):
            if name not in needed:
                needed.add(name)
                waiting.append(shapes[name])
    return content | {"operations": operations, "shapes": {name: shapes[name] for name in shapes if name in needed}}


def references(node: Any) -> list[str]:
    """The names of shapes that an operation or a shape refers to."""
    if isinstance(node, list):
        return [name for each in cast("list[Any]", node) for name in references(each)]
    if not isinstance(node, dict):
        return []
    values = cast("dict[str, Any]", node)
    own = [values["shape"]] if isinstance(values.get("shape"), str) else []
    return own + [name for value in values.values() for name in references(value)]


def without_prose(node: Any) -> Any:
    """The same model without its documentation strings; those of a client's own parameters are read with every call."""
    if isinstance(node, dict):
        return {
            key: value if key == "clientContextParams" else without_prose(value)
            for key, value in cast("dict[str, Any]", node).items()
            if not (key in ("documentation", "documentationUrl") and isinstance(value, str))
        }
    return [without_prose(value) for value in cast("list[Any]", node)] if isinstance(node, list) else node


if __name__ == "__main__":
    if sys.version_info[:2] != LAMBDA_PYTHON:
        sys.exit("pack.py: bytecode for Lambda needs Python 3.13; say where it is with LAMBDA_PYTHON=…")
    pack(sys.argv[1], Path(sys.argv[2]))
