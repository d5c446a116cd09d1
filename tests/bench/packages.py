"""Row 12: the zipped size of what Lambda unpacks for each function: its package and its layers, with bytecode.

Read from the output of `sam build`. The reference is one package as most projects build it from the same libraries:
everything that pip installs for Lambda, with the SDK and the tracer, nothing trimmed.
"""

from __future__ import annotations

import subprocess
import tempfile
import zipfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import yaml

from tests.bench.measure import ROOT, NotRun, Result

BUILT = ROOT / ".aws-sam/build"
TYPICAL_LAYERS = ("runtime", "media", "ai")
VIDEO_LAYERS = ("video",)
ALSO_TYPICAL = ("boto3", "aws-xray-sdk")


def rows() -> list[Result]:
    """Megabytes of the largest function, of a usual API function, and of the largest function that decodes video. The
    reference of the last contains the libraries for video too."""
    python = build()
    sizes = {name: megabytes(folders) for name, folders in packages().items()}
    print("packages, MB: " + "; ".join(f"{name} {size:.1f}" for name, size in sorted(sizes.items())))
    reference, with_video = (
        typical_megabytes(python, TYPICAL_LAYERS),
        typical_megabytes(python, (*TYPICAL_LAYERS, *VIDEO_LAYERS)),
    )
    decoding = {name for name, folders in packages().items() if BUILT / "VideoLayer" in folders}
    largest = max(sizes.keys() - decoding, key=lambda name: sizes[name])
    largest_with_video = max(decoding, key=lambda name: sizes[name])
    return [
        Result(12, f"package, largest ({largest})", sizes[largest], reference, "MB", ratio_max=0.7),
        Result(12, "package, credits", sizes["ApiCreditsFunction"], reference, "MB", ratio_max=0.7),
        Result(
            12, f"package with video ({largest_with_video})", sizes[largest_with_video], with_video, "MB", ratio_max=0.7
        ),
    ]


def build() -> str:
    """`make build`; returns the Python that compiled it. Raises NotRun without one."""
    python = subprocess.run(["make", "--silent", "lambda-python"], cwd=ROOT, capture_output=True, text=True, check=True)
    if not python.stdout.strip():
        raise NotRun("the build is compiled by a Python 3.13, and this machine has none")
    subprocess.run(["make", "--silent", "build"], cwd=ROOT, check=True, capture_output=True)
    return python.stdout.strip()


def packages() -> dict[str, list[Path]]:
    """The folders that make up each function, by logical id."""
    template = yaml.safe_load((BUILT / "template.yaml").read_text())
    common = template["Globals"]["Function"].get("Layers", [])
    return {
        name: [BUILT / name, *(BUILT / layer["Ref"] for layer in common + resource["Properties"].get("Layers", []))]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def megabytes(folders: Iterable[Path]) -> float:
    return sum(map(zipped_bytes, folders)) / 1e6


@cache
def zipped_bytes(folder: Path) -> int:
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in filter(Path.is_file, folder.rglob("*")):
                archive.write(path, path.relative_to(folder))
        return file.tell()


def typical_megabytes(python: str, layers: tuple[str, ...]) -> float:
    """Megabytes of the reference, with the libraries of these layers."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "package"
        pins: set[str] = set()
        for lock in [ROOT / f"layers/dependencies/{layer}/requirements.txt" for layer in layers]:
            pins |= {line.split()[0] for line in lock.read_text().splitlines() if "==" in line and line[0] not in " #"}
        pins |= {
            line.split()[0]
            for line in (ROOT / ".ci/locks/test.txt").read_text().splitlines()
            if line.startswith(tuple(f"{name}==" for name in ALSO_TYPICAL))
        }
        install = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--root-user-action=ignore"]
        install += ["--only-binary=:all:", "--python-version=3.13", "--platform=manylinux2014_aarch64"]
        install += [f"--platform=manylinux_2_{minor}_aarch64" for minor in range(34, 16, -1)]
        subprocess.run([*install, "--target", target, *pins], check=True, capture_output=True)
        subprocess.run([python, "-m", "compileall", "-q", target], check=True)
        return megabytes([target])
