"""Which packages a function does not have, because they are in layers of other functions.

The workers of the local stack run in an environment with the packages of all layers. On Lambda a function has those of
its own layers alone, and fails when it imports another one. So each function is told which ones to do without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

FOLDER = "layers/dependencies"
PIN = re.compile(r"^([\w.-]+)==", re.MULTILINE)
# The layer whose folder is not called as the layer is.
FOLDERS = {"studiodependencies": "studio"}


def absent_packages(root: Path, layers: Iterable[str]) -> tuple[str, ...]:
    """The top-level modules that are in some layer of the repository at `root`, but in none of these (logical ids, as
    `PagesLayer` or with a suffix)."""
    own = {name for layer in layers for name in modules_of(root, folder_of(layer))}
    every = {name for folder in sorted((root / FOLDER).iterdir()) for name in modules_of(root, folder.name)}
    return tuple(sorted(every - own))


def folder_of(layer: str) -> str:
    """The folder of a layer's packages, from its logical id: `PagesLayer0a1b2c` → pages."""
    name = re.sub(r"Layer[0-9a-f]*$", "", layer).lower()
    return FOLDERS.get(name, name)


@cache
def modules_of(root: Path, folder: str) -> frozenset[str]:
    """The top-level modules of a layer, of which this environment has the same distributions. Empty for a layer of our
    own code, and for a distribution that is not installed here."""
    requirements = root / FOLDER / folder / "requirements.txt"
    if not requirements.exists():
        return frozenset()
    found: set[str] = set()
    for name in PIN.findall(requirements.read_text("utf-8")):
        try:
            files = distribution(name).files or ()
        except PackageNotFoundError:
            continue
        tops = {file.parts[0] for file in files if len(file.parts) > 1 or file.suffix == ".py"}
        found |= {top.removesuffix(".py") for top in tops if re.fullmatch(r"\w+(\.py)?", top)}
    return frozenset(found - {"__pycache__"})
