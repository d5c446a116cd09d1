// What a page of another origin tries; tests/local/test_browser.py runs it in a browser.

const json = (method, body, headers) => ({
  method,
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body),
});

async function everything({ api, email, password }) {
  const did = {};
  const account = { email, password, name: "Ada" };
  const signup = await fetch(`${api}/api/auth/signup`, { ...json("POST", account), credentials: "include" });
  did.signup = signup.status;
  const bearer = { authorization: `Bearer ${(await signup.json()).data.access_token}` };
  const refreshed = await fetch(`${api}/api/auth/refresh`, { ...json("POST", {}), credentials: "include" });
  did.refreshed = refreshed.status;

  const order = json(
    "POST",
    { prompt: "a lighthouse", model: "local/canvas", parameters: { width: 256, height: 256 } },
    { ...bearer, prefer: "wait=25", "idempotency-key": email },
  );
  const made = await fetch(`${api}/api/generate/image`, order);
  const location = made.headers.get("location");
  did.made = [made.status === 200 ? 202 : made.status, location.includes("gen_"), !!made.headers.get("x-request-id")];
  did.replayed = (await fetch(`${api}/api/generate/image`, order)).headers.get("idempotent-replayed");

  let generation = (await made.json()).data.generation;
  while (!["succeeded", "failed"].includes(generation.status)) {
    generation = (await (await fetch(`${api}${new URL(location, api).pathname}`, { headers: bearer })).json()).data.generation;
  }
  const url = new URL(generation.assets[0].url, api).href;
  // Shown first, and read from what the browser kept.
  const image = new Image();
  await new Promise((loaded, failed) => Object.assign(image, { onload: loaded, onerror: failed, src: url }));
  did.shown = image.naturalWidth;
  did.file = (await (await fetch(url)).blob()).type;
  const part = await fetch(url, { headers: { range: "bytes=0-9" }, cache: "no-store" });
  did.range = [part.status, (await part.arrayBuffer()).byteLength, !!part.headers.get("content-range")];

  const refusals = [
    fetch(`${api}/api/credits`),
    fetch(`${api}/api/nowhere`),
    fetch(`${api}/api/credits`, { method: "DELETE", headers: bearer }),
    fetch(`${api}/api/generate/image`, json("POST", { prompt: 7 }, bearer)),
    fetch(url.split("?")[0]),
  ];
  did.refusals = [];
  for (const each of refusals) did.refusals.push([(await each).status, (await (await each).json()).error]);

  const made_token = await fetch(`${api}/api/tokens`, json("POST", { name: "page", scopes: ["all"] }, bearer));
  const token = (await made_token.json()).data.token;
  const chat = await fetch(
    `${api}/v1/chat/completions`,
    json(
      "POST",
      { model: "local/writer", messages: [{ role: "user", content: "hello" }] },
      { authorization: `Bearer ${token}`, "x-stainless-lang": "js", "x-stainless-retry-count": "0", "openai-project": "p" },
    ),
  );
  did.chat = [chat.status, !!chat.headers.get("atelier-credits-charged")];

  const file = await new Promise((drawn) => {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: 64, height: 64 }).getContext("2d").fillRect(8, 8, 40, 40);
    canvas.toBlob(drawn, "image/png");
  });
  const uploading = { name: "square.png", content_type: "image/png", size: file.size };
  const begun = (await (await fetch(`${api}/api/assets/uploads`, json("POST", uploading, bearer))).json()).data;
  const form = new FormData();
  for (const [name, value] of Object.entries(begun.upload.fields)) form.append(name, value);
  form.append("file", file);
  const sent = await fetch(begun.upload.url, { method: "POST", body: form });
  const done = await fetch(`${api}/api/assets/${begun.asset.id}/complete`, { method: "POST", headers: bearer });
  did.upload = [sent.status, done.status];
  return did;
}

async function nothing({ api }) {
  const failure = (call) => call.then((answer) => answer.status, (error) => error.name);
  return {
    plain: await failure(fetch(`${api}/healthz`)),
    preflighted: await failure(fetch(`${api}/api/credits`, { headers: { authorization: "Bearer a" } })),
    credentials: await failure(fetch(`${api}/healthz`, { credentials: "include" })),
  };
}
