#!/bin/bash
# Stripe's CLI 1.52.0 (npm @stripe/cli-linux-x64), asked for `stripe trigger checkout.session.async_payment_failed`, says
# "Trigger succeeded!" and exits with 0 though the server refused every payment method: the fixture expects errors, so
# any is taken, and the next call is sent with the name of the missing value in its place. A test that drives a server
# with the CLI has to look for the event itself.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts @stripe/cli-linux-x64@1.52.0
python3 - <<'PYTHON'
import json, os, subprocess, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

bodies = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        bodies.append(self.rfile.read(int(self.headers["content-length"] or 0)).decode())
        refused = {"error": {"type": "invalid_request_error", "message": "no"}}
        is_refused = "payment_method" in self.path or "payment_pages" in self.path
        data = json.dumps(refused if is_refused else {"id": "made"}).encode()
        self.send_response(400 if is_refused else 200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.do_POST()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
order = ["node_modules/@stripe/cli-linux-x64/bin/stripe", "trigger", "checkout.session.async_payment_failed"]
order += ["--api-key", "sk_test_51abcdefghijklmnop", "--api-base", f"http://127.0.0.1:{server.server_port}"]
environment = {**os.environ, "HOME": os.getcwd(), "XDG_CONFIG_HOME": os.getcwd(), "STRIPE_CLI_TELEMETRY_OPTOUT": "1"}
ran = subprocess.run(order, env=environment, capture_output=True, text=True, timeout=60)
print(f"exit {ran.returncode}; last call: {bodies[-1]}; says success: {'succeeded' in ran.stdout + ran.stderr}")
if ran.returncode != 0 or "%24%7Bpayment_method%3Aid%7D" not in bodies[-1]:
    raise SystemExit("changed: a refused step makes the trigger fail")
PYTHON
