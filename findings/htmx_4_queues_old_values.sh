#!/bin/bash
# htmx 2.0.11 reads the form when it sends a queued request (hx-sync="this:queue last"); htmx 4.0.1 reads it when the
# request is queued. Whatever somebody changes between the two is not in the last request, although it is sent after the
# change: an answer may be older than the form that it is shown in.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts happy-dom@20.14.6 htmx2@npm:htmx.org@2.0.11 htmx4@npm:htmx.org@4.0.1
cat > run.mjs <<'JAVASCRIPT'
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { Window } from "happy-dom";

const seen = {};
for (const name of ["htmx2", "htmx4"]) {
  const sizes = [], held = [];
  let arrived;
  const server = createServer((request, answer) => {
    let body = "";
    request.on("data", part => (body += part)).on("end", () => {
      sizes.push(new URLSearchParams(body).get("size"));
      held.push(answer);
      arrived();
    });
  });
  await new Promise(done => server.listen(0, "127.0.0.1", done));
  const answerFirst = () => held.shift().writeHead(200, { "content-type": "text/html" }).end("ok");
  const next = () => new Promise(done => (arrived = done));

  const settings = { enableJavaScriptEvaluation: true, suppressInsecureJavaScriptEnvironmentWarning: true };
  const window = new Window({ url: `http://127.0.0.1:${server.address().port}/`, settings });
  // Both look for hx-on attributes by XPath, which this DOM does not have; there are none.
  const nothing = { evaluate: () => ({ iterateNext: () => null }) };
  window.XPathEvaluator = class { createExpression() { return nothing; } };
  window.document.body.innerHTML =
    '<form><input name="size" value="1"><button type="button" hx-post="/" hx-sync="this:queue last"></button></form>';
  window.eval(readFileSync(`node_modules/${name}/dist/htmx.js`, "utf8") + "; window.htmx = htmx");
  window.htmx.process(window.document.body);
  const input = window.document.querySelector("input"), button = window.document.querySelector("button");
  const first = next();
  button.click();
  await first;
  input.value = "2";
  button.click();
  input.value = "3";
  const second = next();
  answerFirst();
  await second;
  answerFirst();
  seen[name] = sizes;
  console.log(`htmx ${window.htmx.version}: the requests say ${sizes}, the form 3`);
  await window.happyDOM.close();
  server.close();
  server.closeAllConnections();
}
if (seen.htmx2.join() !== "1,3" || seen.htmx4.join() !== "1,2") throw new Error("changed: a queued request says something else");
JAVASCRIPT
node run.mjs
