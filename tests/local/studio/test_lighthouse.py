"""Studio's pages as Lighthouse sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.form_browser import FormBrowser
from tests.local.client import PASSWORD, AccountClient
from tests.local.conftest import Stack
from tests.local.lighthouse import SCORE_MIN, lighthouse


def test_lighthouse_gives_the_page_for_signing_in_at_least_95(stack: Stack, tmp_path: Path) -> None:
    judged = lighthouse(f"{stack.base_url}/sign-in", tmp_path)
    assert judged.least_score >= SCORE_MIN, judged


@pytest.mark.parametrize("path", ["/home", "/create", "/library"])
def test_lighthouse_gives_a_page_of_an_account_at_least_95(stack: Stack, tmp_path: Path, path: str) -> None:
    account = AccountClient(stack.base_url)
    browser = FormBrowser(stack.base_url)
    browser.sign_in({"email": account.email, "password": PASSWORD})
    judged = lighthouse(stack.base_url + path, tmp_path, browser.cookies)
    assert judged.least_score >= SCORE_MIN, judged
