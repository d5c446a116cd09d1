#!/bin/bash
# npm's ai 7.0.173 (Vercel's AI SDK, with @ai-sdk/openai-compatible 3.0.92) sends a call that was answered by 409 again,
# twice, with the same bytes and nothing that says so: no Idempotency-Key, no number of the try. It does so even where
# the answer says `x-should-retry: false`. A server that begins paid work on each POST is paid three times for one call.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts ai@7.0.173 @ai-sdk/openai-compatible@3.0.92
cat > run.mjs <<'JAVASCRIPT'
import { createServer } from "node:http";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText } from "ai";

const requests = [];
const server = createServer((request, answer) => {
  let body = "";
  request.on("data", (piece) => (body += piece));
  request.on("end", () => {
    requests.push({ body, names: Object.keys(request.headers).filter((name) => /idempotency|retry/.test(name)) });
    answer.writeHead(409, { "content-type": "application/json", "x-should-retry": "false", "retry-after-ms": "10" });
    answer.end(JSON.stringify({ error: { message: "it is being made", type: "conflict", code: "in_progress" } }));
  });
}).listen(0, "127.0.0.1", async () => {
  const baseURL = `http://127.0.0.1:${server.address().port}/v1`;
  const provider = createOpenAICompatible({ name: "example", baseURL, apiKey: "none" });
  await generateText({ model: provider.chatModel("a-model"), prompt: "a lake" }).catch(() => {});
  server.close();
  const same = requests.every((each) => each.body === requests[0].body);
  const names = requests.flatMap((each) => each.names);
  console.log(`requests for one call: ${requests.length}; same bytes: ${same}; headers that tell them apart: ${names.length}`);
  if (requests.length !== 3 || !same || names.length) throw new Error("changed: 409 is repeated differently");
});
JAVASCRIPT
node run.mjs
