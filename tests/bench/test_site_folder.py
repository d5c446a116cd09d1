"""The import path of a measured function: the packages of its own layers, as on Lambda."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.bench.measure import ROOT
from tests.bench.site_folder import ISOLATED, function_site, layers_of, needed, reference_site

STRIPE_WEBHOOK = ROOT / "functions/webhooks/stripe"
# Prints which of these modules the function has imported.
IMPORT = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
import app
names = ("aws_lambda_powertools", "botocore", "OpenSSL", "pydantic")
print(json.dumps([name for name in names if name in sys.modules]))
"""


def test_a_function_has_the_packages_of_its_layers_alone(tmp_path: Path) -> None:
    factors = ROOT / "functions/api/factors"
    assert (layers_of(STRIPE_WEBHOOK), layers_of(factors)) == (("runtime",), ("runtime", "webauthn"))
    ours, with_passkeys = function_site(tmp_path, STRIPE_WEBHOOK), function_site(tmp_path, factors)
    assert [(site / "botocore").exists() for site in (ours, with_passkeys)] == [True, True]
    assert [(site / "OpenSSL").exists() for site in (ours, with_passkeys)] == [False, True]


def test_a_reference_has_what_it_imports_and_what_that_needs(tmp_path: Path) -> None:
    assert needed(["boto3"]) >= {"boto3", "botocore", "s3transfer", "urllib3"}
    names = {path.name for path in reference_site(tmp_path, "reference", ["boto3"]).iterdir()}
    assert "s3transfer" in names
    assert not names & {"OpenSSL", "pydantic", "pynamodb"}


def test_a_webhook_imports_no_models(tmp_path: Path) -> None:
    path = [STRIPE_WEBHOOK, ROOT / "layers/atelier/python", function_site(tmp_path, STRIPE_WEBHOOK)]
    arguments = [sys.executable, *ISOLATED, "-c", IMPORT, json.dumps([str(each) for each in path])]
    environment = {**os.environ, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
    ran = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == ["aws_lambda_powertools", "botocore"]
