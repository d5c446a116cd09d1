// Clients that retry a request by themselves, each in its own way, when work takes longer than they may wait: npm's `ai`
// (sends neither a retry number nor a key), LangChain (never retries after a 409) and `openai` (numbers its retries). Each
// submits once.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { ChatOpenAI } from "@langchain/openai";
import { generateImage, generateText } from "ai";
import OpenAI from "openai";

const [baseURL, apiKey, prefer, slow, image, chat] = process.argv.slice(2);
const headers = { prefer };
const words = (client) => `a lake for ${client} [[run:slow=${slow}]]`;
const provider = createOpenAICompatible({ name: "atelier", baseURL, apiKey, headers });
// More retries than the clients' default, because a busy machine is slow.
const maxRetries = 6;
const client = new OpenAI({ baseURL, apiKey, defaultHeaders: headers, maxRetries });
const langchain = new ChatOpenAI({ model: chat, apiKey, configuration: { baseURL, defaultHeaders: headers } });

const clients = {
  "ai, picture": async () => {
    const made = await generateImage({ model: provider.imageModel(image), prompt: words("ai"), size: "1024x1024", maxRetries });
    return made.image.base64.length > 0;
  },
  "ai, text": async () => {
    const made = await generateText({ model: provider.chatModel(chat), prompt: words("ai"), maxRetries });
    return made.text.length > 0;
  },
  langchain: async () => (await langchain.invoke(words("langchain"))).content.length > 0,
  openai: async () => {
    const made = await client.images.generate({ model: image, prompt: words("openai"), size: "1024x1024" });
    return made.data[0].b64_json.length > 0;
  },
};
const calls = Object.entries(clients).map(async ([name, call]) => [name, await call().catch(String)]);
console.log(JSON.stringify(Object.fromEntries(await Promise.all(calls))));
