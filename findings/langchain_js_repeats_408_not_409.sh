#!/bin/bash
# npm's @langchain/openai 1.5.8 (with @langchain/core 1.4.0) gives up at the first 409, and sends a call that was
# answered by 408 again. The openai SDK beneath it repeats both, but LangChain switches that off and decides by a list
# of its own. A server that wants to be asked again says 408 to it, and 409 to the others.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts @langchain/openai@1.5.8 @langchain/core@1.4.0
cat > run.mjs <<'JAVASCRIPT'
import { createServer } from "node:http";
import { ChatOpenAI } from "@langchain/openai";

let count = 0;
const server = createServer((request, answer) => {
  count += 1;
  const status = Number(request.url.slice(1, 4));
  request.resume().on("end", () => {
    answer.writeHead(status, { "content-type": "application/json" });
    answer.end(JSON.stringify({ error: { message: "not yet", type: "pending", code: "in_progress" } }));
  });
}).listen(0, "127.0.0.1", async () => {
  const seen = {};
  for (const status of [408, 409]) {
    count = 0;
    const baseURL = `http://127.0.0.1:${server.address().port}/${status}`;
    const chat = new ChatOpenAI({ model: "a-model", apiKey: "none", maxRetries: 2, configuration: { baseURL } });
    await chat.invoke("a lake").catch(() => {});
    seen[status] = count;
    console.log(`answered by ${status}: ${count} requests for one call`);
  }
  server.close();
  if (seen[408] !== 3 || seen[409] !== 1) throw new Error("changed: another status is repeated");
});
JAVASCRIPT
node run.mjs
