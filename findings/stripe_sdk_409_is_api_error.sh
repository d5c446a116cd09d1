#!/bin/bash
# stripe 16.1.0 has an IdempotencyError, and does not raise it for the answer to a key that another request is using
# (status 409, type idempotency_error, code idempotency_key_in_use): only 400 and 404 are looked at for that type, so 409
# comes out as plain APIError, the class of Stripe's own failures. Whoever tells the two apart reads `http_status`.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check stripe==16.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import json, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import stripe


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"] or 0))
        status = int(self.path.rpartition("/")[2].removeprefix("cus_"))
        error = {"type": "idempotency_error", "code": "idempotency_key_in_use", "message": "in use"}
        data = json.dumps({"error": error}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = stripe.StripeClient("sk_test_x", base_addresses={"api": f"http://127.0.0.1:{server.server_port}"}, max_network_retries=0)
raised = {}
for status in (400, 409):
    try:
        client.v1.customers.update(f"cus_{status}", {"name": "Ada"})
    except stripe.StripeError as error:
        raised[status] = (type(error).__name__, error.http_status)
print(raised)
if raised != {400: ("IdempotencyError", 400), 409: ("APIError", 409)}:
    raise SystemExit("changed: 409 has another class")
PYTHON
