"""Lanes of the tests: each needs a program that `make test` installs where it can, such as a browser or npm's packages.

A newcomer's machine may not have one. Then the lane is named as not run, and the rest still passes. On CI each of these
programs is installed, so a lane that is missing there has failed."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

from tests.local.chromium import find_browser


def not_run(why: str) -> NoReturn:
    """End a test that cannot run here: skipped, and on CI failed."""
    if os.environ.get("CI"):
        pytest.fail(f"CI has to run this lane, and cannot: {why}")
    pytest.skip(f"not run: {why}")


def need_browser() -> str:
    """The path of a browser."""
    return find_browser() or not_run("there is no Chromium here (.ci/programs installs one)")


def need_node() -> str:
    """The path of Node.js."""
    return shutil.which("node") or not_run("there is no Node.js here")


def need_age() -> str:
    """The path of the program `age`."""
    return shutil.which("age") or not_run("there is no age here (.ci/programs installs it)")
