"""README's calls work as they are typed, one after the other, on a new account."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.local.client import AccountClient, link_in_mail
from tests.local.conftest import Stack

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(r"^(?:curl|TOKEN=|PYTHONPATH=)(?:.*\\\n)*.*$", re.MULTILINE)
# The README's generation has finished when it is cancelled, and its organisation has no plan for a second member.
REFUSED = ("/cancel", "/invitations")


def commands() -> list[str]:
    """The README's calls of the local stack, in order; a command may have several lines."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return [command for block in blocks for command in COMMAND.findall(block)]


class Shell:
    """Types the README's commands: `$TOKEN` and files stay from one to the next; `gen_…`, `ast_…` and `wsp_…` are the
    newest generation, image and organisation of the account, and `usr_…` begins the token in its mail."""

    def __init__(self, account: AccountClient, base_url: str, folder: Path) -> None:
        self._account, self._host, self._folder = account, base_url.removeprefix("http://"), folder
        self._environment = {**os.environ, "TOKEN": account.http.headers["Authorization"].removeprefix("Bearer ")}

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """The command's result; curl's exit status is 22 where the answer is an error."""
        typed = command.replace("localhost:8080", self._host).replace("curl -s", "curl -sS --fail-with-body")
        typed = typed.replace("you@example.com", f"readme.{self._account.email}")
        # The stack's only other provider is a simulator, so that no request leaves this machine.
        typed = typed.replace('"openai"', '"replicate"').replace("sk-…", "r8-some-key")
        if "usr_…" in typed:
            link = link_in_mail(str(self._account.http.base_url).rstrip("/"), self._account.email, "/verify")
            typed = typed.replace("usr_…", link.partition("?token=")[2])
        if "wsp_…" in typed:
            [newest, *_] = reversed(self._account.get("/api/workspaces").json()["data"]["items"])
            typed = typed.replace("wsp_…", newest["id"])
        if "gen_…" in typed:
            [newest, *_] = self._account.get("/api/generations").json()["data"]["items"]
            typed = typed.replace("gen_…", newest["id"])
        if "ast_…" in typed:
            assets = self._account.get("/api/assets").json()["data"]["items"]
            typed = typed.replace("ast_…", next(each["id"] for each in assets if each["format"] == "png"))
        shell = ["bash", "-c", typed]
        return subprocess.run(
            shell, check=False, cwd=self._folder, env=self._environment, capture_output=True, text=True, timeout=60
        )


@pytest.fixture
def shell(stack: Stack, tmp_path: Path) -> Shell:
    (tmp_path / "layers").symlink_to(ROOT / "layers")
    return Shell(AccountClient(stack.base_url), stack.base_url, tmp_path)


def test_every_call_of_the_readme_works_as_typed(shell: Shell) -> None:
    typed = commands()
    assert len(typed) > 20
    failed = [
        f"{command}\n{result.stdout}{result.stderr}"
        for command in typed
        for result in [shell.run(command)]
        if (result.returncode != 0) != any(action in command for action in REFUSED)
    ]
    assert not failed, "README.md names calls that do not work as typed:\n\n" + "\n\n".join(failed)
