"""What session credentials for each workspace would cost: a role assumed with a policy on `dynamodb:LeadingKeys`, and a
client that signs with it. No row of the bench: the figures behind a decision (docs/decisions/audit_log.md).

    PYTHONPATH=layers/atelier/python .venv/bin/python -m tests.bench.workspace_credentials

The other side is a server in a process of its own that answers at once, and only this process's own time counts; on AWS
an answer of STS, and one TLS handshake for each new client, come on top."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CALLS, CLIENTS = 300, 25
ROLE = "arn:aws:iam::000000000000:role/workspace"
ITEM = b'{"Item":{"pk":{"S":"wsp_01M7XCN60Q0Z9AH99VAAQWYH99"},"sk":{"S":"wallet"},"available":{"N":"46"}}}'
CREDENTIALS = (
    "<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>"
    f"<SessionToken>{'t' * 900}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
)
ASSUMED = (
    '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
    f"{CREDENTIALS}</AssumeRoleResult></AssumeRoleResponse>"
).encode()


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer leaves in one packet.
    wbufsize = 65536
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        is_sts = "X-Amz-Target" not in self.headers
        body = ASSUMED if is_sts else ITEM
        self.send_response(200)
        self.send_header("Content-Type", "text/xml" if is_sts else "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def policy(workspace_id: str, user_id: str, table_arns: list[str]) -> str:
    """The session policy: only items whose partition key is the workspace's or the user's id."""
    condition = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [workspace_id, user_id]}}
    keyed = {"Null": {"dynamodb:LeadingKeys": "false"}}
    statement = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": table_arns, "Condition": condition | keyed}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))


def median_microseconds(call: Callable[[], object], times: int) -> float:
    """The median processor time of a call, which other programs on the machine hardly change."""
    spans: list[float] = []
    for _ in range(times):
        began = time.thread_time()
        call()
        spans.append(time.thread_time() - began)
    return round(statistics.median(spans) * 1e6, 1)


def measure() -> dict[str, float]:
    """All figures, in microseconds."""
    from atelier.adapters.aws.clients import client, session

    key = {"pk": {"S": "wsp_01M7XCN60Q0Z9AH99VAAQWYH99"}, "sk": {"S": "wallet"}}
    shared, sts = client("dynamodb"), client("sts")
    text = policy("wsp_01M7XCN60Q0Z9AH99VAAQWYH99", "usr_01M7XCN60QCB8JGMC722TFVM7C", ["arn:aws:dynamodb:::table/x"])

    def assume() -> dict[str, Any]:
        found: dict[str, Any] = sts.assume_role(RoleArn=ROLE, RoleSessionName="workspace", Policy=text)
        return found["Credentials"]

    def scoped_client() -> Any:
        found = assume()
        return session().create_client(
            "dynamodb",
            aws_access_key_id=found["AccessKeyId"],
            aws_secret_access_key=found["SecretAccessKey"],
            aws_session_token=found["SessionToken"],
        )

    def read(reader: Any) -> object:
        return reader.get_item(TableName="x", Key=key)

    scoped = scoped_client()
    for reader in (shared, scoped):
        median_microseconds(lambda reader=reader: read(reader), 100)
    return {
        "shared_call": median_microseconds(lambda: read(shared), CALLS),
        "scoped_call": median_microseconds(lambda: read(scoped), CALLS),
        "assume_role": median_microseconds(assume, CLIENTS),
        "assume_create_first_call": median_microseconds(lambda: read(scoped_client()), CLIENTS),
        "shared_call_again": median_microseconds(lambda: read(shared), CALLS),
    }


def main() -> None:
    """Serve in a child, measure here, print the figures."""
    if sys.argv[1:] == ["serve"]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
        print(server.server_port, flush=True)
        server.serve_forever()
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.workspace_credentials", "serve"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        url = f"http://127.0.0.1:{child.stdout.readline().strip()}"
        os.environ.update(AWS_ENDPOINT_URL=url, AWS_ACCESS_KEY_ID="t", AWS_SECRET_ACCESS_KEY="t")
        os.environ.update(AWS_REGION="us-east-1", AWS_DEFAULT_REGION="us-east-1")
        print(json.dumps(measure()))
    finally:
        child.kill()
        child.wait()


if __name__ == "__main__":
    main()
