// Calls a stack with two clients generated from our OpenAPI document, by openapi-generator (typescript-fetch, in ./ts) and
// by openapi-typescript (./schema, called by openapi-fetch): each signs up, generates an image, gets it and lists it.
import createClient from "openapi-fetch";
import type { paths } from "./schema";
import { AuthApi, Configuration, GenerationsApi, ResponseError, SignUpRequestTokenDeliveryEnum } from "./ts";

const baseUrl = process.argv[2];
const missing = "gen_01M7XCN60QZZZZZZZZZZZZZZZZ";
const person = () => ({
  email: `${crypto.randomUUID()}@example.test`,
  password: "a long enough passphrase 27",
  name: "Ada",
});
const parameters = { width: 64, height: 64, seed: 7 };

async function byOpenapiGenerator() {
  const signUpRequest = { ...person(), tokenDelivery: SignUpRequestTokenDeliveryEnum.Body };
  const signedUp = await new AuthApi(new Configuration({ basePath: baseUrl })).postApiAuthSignup({ signUpRequest });
  const access = new Configuration({ basePath: baseUrl, accessToken: signedUp.data.accessToken });
  const calls = new GenerationsApi(access);
  const makeRequest = { prompt: "a lighthouse", model: "local/canvas", parameters };
  const made = (await calls.postApiGenerateKind({ kind: "image", prefer: "wait=20", makeRequest })).data.generation;
  const found = (await calls.getApiGenerationsGenerationId({ generationId: made.id })).data.generation;
  const listed = (await calls.getApiGenerations({ limit: 5 })).data.items;
  const refused = await calls.getApiGenerationsGenerationId({ generationId: missing }).catch(async (error) => {
    const { response } = error as ResponseError;
    return [response.status, (await response.json()).error];
  });
  return [found.status, found.assets.length, listed.map((each) => each.id === made.id), refused];
}

async function byOpenapiTypescript() {
  const stranger = createClient<paths>({ baseUrl });
  const signedUp = await stranger.POST("/api/auth/signup", { body: { ...person(), token_delivery: "body" } });
  const headers = { Authorization: `Bearer ${signedUp.data!.data.access_token}` };
  const client = createClient<paths>({ baseUrl, headers });
  const made = await client.POST("/api/generate/{kind}", {
    params: { path: { kind: "image" }, header: { Prefer: "wait=20" } },
    body: { prompt: "a lighthouse", model: "local/canvas", parameters },
  });
  const id = made.data!.data.generation.id;
  const found = await client.GET("/api/generations/{generation_id}", { params: { path: { generation_id: id } } });
  const listed = await client.GET("/api/generations", { params: { query: { limit: 5 } } });
  const none = await client.GET("/api/generations/{generation_id}", { params: { path: { generation_id: missing } } });
  const generation = found.data!.data.generation;
  const ids = listed.data!.data.items.map((each) => each.id === id);
  return [generation.status, generation.assets.length, ids, [none.response.status, none.error!.error]];
}

async function calls() {
  const seen = { "typescript-fetch": await byOpenapiGenerator(), "openapi-typescript": await byOpenapiTypescript() };
  console.log(JSON.stringify(seen));
}

void calls();
