// Calls /v1 with npm's unmodified `openai` client and prints the result of each call as one line of JSON.
import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";

const [baseURL, apiKey, picture] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey });
const hello = [{ role: "user", content: "Write a haiku about rain" }];
const seen = {};

async function refused(call) {
  try {
    await call();
  } catch (error) {
    assert(error instanceof OpenAI.APIError, String(error));
    return [error.constructor.name, error.status, error.code, error.param, error.type];
  }
  assert.fail("this was to be refused");
}

seen.models = [];
for await (const model of client.models.list()) seen.models.push(model.id);
seen.model = (await client.models.retrieve("local/writer")).id;

const said = await client.chat.completions.create({ model: "auto", messages: hello }).withResponse();
seen.chat = said.data.choices[0].message.content;
seen.request = Boolean(said.request_id) && said.response.headers.get("atelier-generation-id").startsWith("gen_");
seen.streamed = "";
const stream = await client.chat.completions.create({
  model: "auto",
  messages: hello,
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  seen.streamed += chunk.choices[0]?.delta?.content ?? "";
  seen.counted = chunk.usage?.total_tokens > 0;
}

seen.response = (await client.responses.create({ model: "auto", input: "A title about rain" })).output_text;
seen.events = [];
for await (const event of await client.responses.create({ model: "auto", input: "Hello", stream: true }))
  seen.events.push(event.type);

const drawn = await client.images.generate({ model: "local/canvas", prompt: "rain", size: "64x64" });
seen.drawn = drawn.data[0].b64_json;
const image = await toFile(Buffer.from(picture, "base64"), "a.png", { type: "image/png" });
seen.edited = (await client.images.edit({ model: "local/canvas", image, prompt: "rain", size: "64x64" })).data[0].b64_json;
const large = await client.images.generate({ model: "local/canvas", prompt: "needles", size: "2048x1536", n: 2 });
seen.large = large.data.length;

const spoken = await client.audio.speech.create({ model: "auto", voice: "alloy", input: "Rain.", response_format: "wav" });
seen.spoken = Buffer.from(await spoken.arrayBuffer()).subarray(0, 4).toString();

const film = await client.videos.create({ model: "local/film", prompt: "rain", seconds: "1", size: "128x128" });
let state = film;
while (state.status === "queued" || state.status === "in_progress") {
  await new Promise((wake) => setTimeout(wake, 300));
  state = await client.videos.retrieve(film.id);
}
seen.film = [state.status, state.seconds, state.size];
const content = await client.videos.downloadContent(film.id);
seen.content = Buffer.from(await content.arrayBuffer()).subarray(4, 8).toString();

const stranger = new OpenAI({ baseURL, apiKey: "atl_wrong", maxRetries: 0 });
seen.refusals = [
  await refused(() => stranger.models.list()),
  await refused(() => client.images.generate({ model: "local/canvas", prompt: "large", size: "2048x2048", n: 4 })),
  await refused(() => client.chat.completions.create({ model: "gpt-5.5", messages: hello })),
  await refused(() => client.images.generate({ model: "local/canvas", prompt: "x", size: "9000x9000" })),
  await refused(() => client.chat.completions.create({ model: "auto", messages: hello, tools: [{ type: "function" }] })),
  await refused(() => client.embeddings.create({ model: "auto", input: "x" })),
];
console.log(JSON.stringify(seen));
