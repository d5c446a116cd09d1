"""An older commit of this repository in an environment of its own: its stack, and what its own benchmark prints."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.stack_process import RunningStack
from tests.bench.measure import ROOT

BENCH_SECONDS_MAX = 1800
# Variables by which a make within a make would take our rules for its own.
MAKES_OWN = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")


@dataclass(frozen=True, slots=True)
class Build:
    """A checkout of the repository with its own `.venv`."""

    root: Path

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return self.root / ".venv/bin/python"

    def stack(self, data: Path, parameters: dict[str, str]) -> RunningStack:
        """Its local stack, not started."""
        return RunningStack(data, parameters=parameters, root=self.root, python=self.python)

    def bench(self, rows: str) -> list[dict[str, Any]]:
        """Run its own `make bench` for some rows; returns the results that it writes. Raises CalledProcessError."""
        subprocess.run(
            [str(self.python), "-m", "tests.bench", "--rows", rows],
            cwd=self.root,
            check=True,
            timeout=BENCH_SECONDS_MAX,
            stdout=subprocess.DEVNULL,
        )
        return json.loads((self.root / ".bench/results.json").read_text())["rows"]


THIS_BUILD = Build(ROOT)


@contextmanager
def older_build(commit: str, folder: Path) -> Iterator[Build]:
    """The build of a commit, checked out into `folder` with what its own lock file pins. Needs the package index."""
    root = folder / "older"
    run_git("worktree", "add", "--quiet", "--detach", str(root), commit)
    try:
        install = ["env", *(f"--unset={name}" for name in MAKES_OWN), "make", "--no-print-directory", ".venv"]
        subprocess.run(install, cwd=root, check=True)
        yield Build(root)
    finally:
        run_git("worktree", "remove", "--force", str(root))


def run_git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *arguments], check=True)
