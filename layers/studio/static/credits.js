// Checks the proof of a wallet in this browser, as docs/proof.md describes it, and downloads it as one file.

// ---- the format -----------------------------------------------------------------------------------------------------
const ACCOUNTS = new Set(["available", "held", "issued", "revenue", "expired", "operator_loss", "debt"]);
const PART = ["workspace_id", "wallet", "seals", "entries", "head", "next_cursor"];
const SEAL = ["number", "previous", "at", "lag_milliseconds", "count", "movements", "balance", "grants", "hash"];
const WALLET = ["available", "held", "debt", "holds_open", "written", "grants"];
const [REMAINING, HELD, AMOUNT, SOURCE, PRIORITY, GRANTED_AT, EXPIRES_AT] = [0, 1, 2, 3, 4, 5, 6];

/** What does not fit. `text`: the name of a text of the page; `values`: what its placeholders stand for. */
class Mismatch extends Error {
  constructor(text, values = {}) {
    super(text);
    Object.assign(this, { text, values });
  }
}

/** The JSON whose bytes are hashed: keys in order, no spaces (RFC 8785). */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map(key => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}
const isEqual = (one, other) => canonical(one) === canonical(other);

async function digest(value) {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonical(value)));
  return [...new Uint8Array(hash)].map(byte => byte.toString(16).padStart(2, "0")).join("");
}

/** Parses JSON. All numbers of a proof are whole numbers in their only form: 1.0, 1e3 and what a double cannot hold are
 *  refused where the browser shows how a number was written. */
function parse(text) {
  return JSON.parse(text, (_, value, context) => {
    if (typeof value === "number" && (!Number.isSafeInteger(value) || (context?.source ?? String(value)) !== String(value))) {
      throw new Mismatch("unreadable");
    }
    return value;
  });
}

function requireFields(value, names, text, values) {
  const isRight = value !== null && typeof value === "object" && isEqual(Object.keys(value).sort(), [...names].sort());
  if (!isRight) throw new Mismatch(text, values);
}

const milliseconds = at => Date.parse(at.replace(/(\.\d{3})\d+/, "$1"));

// ---- the check ------------------------------------------------------------------------------------------------------
class ChainCheck {
  number = 0;
  hash = null;
  at = "";
  lag = 0;
  count = 0;
  balance = new Map();
  grants = new Map();
  heads = new Map();
  keys = new Set();
  holds = new Map();

  constructor(workspaceId) {
    this.workspaceId = workspaceId;
  }

  /** Checks one part: its seals, and its entries in the order in which they were sealed. */
  async checkPart(part, onEntry) {
    let position = 0;
    for (const seal of part.seals) {
      await this.checkLink(seal);
      for (const [order, key, sealed] of seal.movements) {
        const values = { n: this.count + 1, key };
        if (position === part.entries.length) throw new Mismatch("missing", values);
        await this.checkEntry(part.entries[position++], order, key, sealed, seal, values);
        await onEntry(this.count, part.head.count);
      }
      this.checkSums(seal);
    }
    if (position !== part.entries.length) throw new Mismatch("uncovered", { n: this.count + 1, key: part.entries[position].key });
  }

  async checkLink(seal) {
    const n = this.number + 1;
    requireFields(seal, SEAL, "seal_fields", { n });
    if (seal.number !== n) throw new Mismatch("seal_missing", { n });
    if (seal.previous !== this.hash) throw new Mismatch("seal_link", { n });
    const { hash, ...content } = seal;
    if (hash !== (await digest({ ...content, workspace_id: this.workspaceId }))) throw new Mismatch("seal_hash", { n });
    if (seal.at < this.at) throw new Mismatch("seal_time", { n });
    if (!seal.movements.length || seal.count !== this.count + seal.movements.length) throw new Mismatch("seal_count", { n });
    [this.number, this.hash, this.at] = [n, hash, seal.at];
    this.heads.set(n, hash);
  }

  async checkEntry(entry, order, key, sealed, seal, values) {
    if (entry.order !== order || entry.key !== key) throw new Mismatch("replaced", values);
    if ((await digest(entry)) !== sealed) throw new Mismatch("digest", values);
    // The key alone may come twice: two payers can choose the same key for their transfers.
    const id = canonical([order, key]);
    if (this.keys.has(id)) throw new Mismatch("twice", values);
    this.keys.add(id);
    if (entry.entries.some(line => !ACCOUNTS.has(line.account) || !Number.isSafeInteger(line.amount))) throw new Mismatch("line", values);
    if (entry.entries.reduce((sum, line) => sum + line.amount, 0) !== 0) throw new Mismatch("not_zero", values);
    if (entry.at > seal.at) throw new Mismatch("seal_time", { n: seal.number });
    this.count += 1;
    this.lag = Math.max(this.lag, milliseconds(seal.at) - milliseconds(entry.at));
    this.add(entry);
    if (key.startsWith("hold#") || key.startsWith("settle#")) this.checkHold(entry, values);
  }

  /** Adds an entry to the sums by account and by grant. */
  add(entry) {
    const isGrant = (entry.kind === "grant" || entry.kind === "transfer") && "source" in entry.facts;
    for (const { account, amount, grant } of entry.entries) {
      this.balance.set(account, (this.balance.get(account) ?? 0) + amount);
      if (grant === null) continue;
      if (!this.grants.has(grant)) this.grants.set(grant, [0, 0, 0, null, null, null, null]);
      const state = this.grants.get(grant);
      if (account === "available") state[REMAINING] += amount;
      if (account === "held") state[HELD] += amount;
      if (!isGrant || account !== "available" || amount <= 0) continue;
      state[AMOUNT] += amount;
      state[SOURCE] = entry.facts.source;
      state[PRIORITY] = entry.facts.priority ?? null;
      state[GRANTED_AT] ??= entry.at;
      state[EXPIRES_AT] = entry.facts.expires_at ?? null;
    }
  }

  /** A hold and its end cancel out, grant by grant, whichever of the two was sealed first. */
  checkHold(entry, values) {
    const reference = entry.key.slice(entry.key.indexOf("#") + 1);
    const open = this.holds.get(reference);
    const lines = new Map(open ?? []);
    for (const { account, amount, grant } of entry.entries) if (account === "held") lines.set(grant, (lines.get(grant) ?? 0) + amount);
    if (!open) this.holds.set(reference, lines);
    else if ([...lines.values()].some(Boolean)) throw new Mismatch("hold", values);
    else this.holds.delete(reference);
  }

  checkSums(seal) {
    for (const [account, amount] of this.balance) if (!amount) this.balance.delete(account);
    for (const [grant, state] of this.grants) if (!state[REMAINING] && !state[HELD]) this.grants.delete(grant);
    const sums = { balance: Object.fromEntries(this.balance), grants: Object.fromEntries(this.grants), lag: this.lag };
    if (!isEqual(sums, { balance: seal.balance, grants: seal.grants, lag: seal.lag_milliseconds })) throw new Mismatch("seal_sums", { n: seal.number });
  }

  checkHead(number, hash, text) {
    if (this.heads.get(number) !== hash) throw new Mismatch(text, { n: number });
  }

  /** Checks that the wallet's counters are the sums of all entries, and possible ones. */
  checkWallet(wallet) {
    requireFields(wallet, WALLET, "unreadable");
    const grants = [...this.grants.values()];
    const expected = {
      written: this.count,
      available: this.balance.get("available") ?? 0,
      held: this.balance.get("held") ?? 0,
      debt: 0 - (this.balance.get("debt") ?? 0),
      holds_open: this.holds.size,
      grants: Object.fromEntries([...this.grants].map(([grant, state]) => [grant, state.slice(0, HELD + 1)])),
    };
    for (const [name, value] of Object.entries(expected)) {
      if (!isEqual(wallet[name], value)) throw new Mismatch("wallet", { key: name, is: canonical(wallet[name]), should: canonical(value) });
    }
    const sum = place => grants.reduce((total, state) => total + state[place], 0);
    const isPossible = expected.available >= 0 && expected.held >= 0 && expected.debt >= 0
      && grants.every(state => state[REMAINING] >= 0 && state[HELD] >= 0)
      && sum(REMAINING) === expected.available && sum(HELD) === expected.held;
    if (!isPossible) throw new Mismatch("wallet_sums");
  }
}

/** Checks the parts in their order. parts: an async iterable. Returns what was found; throws a Mismatch. */
async function verify(parts, onEntry) {
  let chain, last;
  for await (const part of parts) {
    requireFields(part, PART, "unreadable");
    chain ??= new ChainCheck(part.workspace_id);
    if (last && (last.next_cursor === null || last.wallet !== null)) throw new Mismatch("ends_early");
    if (part.workspace_id !== chain.workspaceId) throw new Mismatch("workspaces");
    await chain.checkPart(part, onEntry);
    if (part.next_cursor !== null) chain.checkHead(part.head.number, part.head.hash, "head");
    last = part;
  }
  if (!last) throw new Mismatch("unreadable");
  if (last.next_cursor !== null) throw new Mismatch("incomplete");
  const head = chain.hash ? { number: chain.number, hash: chain.hash, count: chain.count } : null;
  if (!isEqual(last.head, head)) throw new Mismatch("head", { n: chain.number });
  chain.checkWallet(last.wallet);
  return { chain, wallet: last.wallet };
}

// ---- where proofs come from -----------------------------------------------------------------------------------------
const button = document.getElementById("check-proof");
const progress = document.getElementById("proof-progress");
const result = document.getElementById("proof-result");
const files = document.getElementById("f-proof");
const download = document.getElementById("download-proof");
const texts = JSON.parse(document.getElementById("proof-texts").textContent);

async function* fetchParts() {
  let cursor = "";
  do {
    const answer = await fetch(button.dataset.parts + (cursor && `?cursor=${encodeURIComponent(cursor)}`), { headers: { accept: "application/json" } });
    const isProof = answer.ok && answer.headers.get("content-type")?.startsWith("application/json");
    if (!isProof) throw new Mismatch("unavailable");
    const part = parse(await answer.text());
    yield part;
    cursor = part.next_cursor;
  } while (cursor);
}

async function readFiles(list) {
  const parts = [];
  for (const file of list) {
    let found;
    try {
      found = parse(await file.text());
    } catch {
      throw new Mismatch("unreadable");
    }
    const part = found?.data ?? found;
    requireFields(part, PART, "unreadable");
    parts.push(part);
  }
  // A last part may have no seals of its own.
  const first = part => part.seals?.[0]?.number ?? Infinity;
  return parts.sort((one, other) => first(one) - first(other) || 0);
}

// ---- the head of the last proof: a chain that was rewritten as a whole does not pass through it ---------------------
const headKey = workspaceId => `proof-head:${workspaceId}`;
function checkNotedHead(chain) {
  const noted = JSON.parse(localStorage.getItem(headKey(chain.workspaceId)) ?? "null");
  if (!noted || noted.number > chain.number) return "";
  chain.checkHead(noted.number, noted.hash, "noted");
  return fill("noted_agrees", { n: noted.number, at: new Date(noted.at).toLocaleString(document.documentElement.lang) });
}
function noteHead(chain) {
  if (chain.hash) localStorage.setItem(headKey(chain.workspaceId), JSON.stringify({ number: chain.number, hash: chain.hash, at: Date.now() }));
}

// ---- what the person sees -------------------------------------------------------------------------------------------
const fill = (name, values = {}) => texts[name].replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);

function show(kind, title, lines) {
  const box = document.createElement("div");
  box.className = kind === "bad" ? "notice bad" : "notice";
  const strong = document.createElement("strong");
  strong.className = kind;
  strong.textContent = title;
  for (const line of [strong, ...lines]) {
    const paragraph = document.createElement("p");
    paragraph.append(line);
    box.append(paragraph);
  }
  result.replaceChildren(box);
}

const ENTRIES_PER_PAINT = 200;
async function showProgress(done, all) {
  progress.max = all;
  progress.value = done;
  if (done % ENTRIES_PER_PAINT === 0) await new Promise(requestAnimationFrame);
}

let isBusy = false;
async function check(open, mayNote) {
  if (isBusy) return;
  isBusy = true;
  result.replaceChildren();
  progress.removeAttribute("value");
  progress.hidden = false;
  try {
    const { chain, wallet } = await verify(await open(), showProgress);
    const noted = checkNotedHead(chain);
    if (mayNote) noteHead(chain);
    const head = document.createElement("code");
    head.textContent = chain.hash ? `${chain.number}:${chain.hash}` : "–";
    const about = document.createDocumentFragment();
    about.append(`${fill("head_is")} `, head);
    show("good", fill("sound", { n: chain.count, seals: chain.number }), [fill("balance", wallet), noted, about].filter(Boolean));
  } catch (error) {
    const mismatch = error instanceof Mismatch ? error : new Mismatch(error instanceof TypeError && !mayNote ? "unreadable" : "failed");
    const isRefused = !["unavailable", "failed"].includes(mismatch.text);
    show("bad", fill(isRefused ? "not_sound" : "not_checked"), [fill(mismatch.text, mismatch.values)]);
    if (!(error instanceof Mismatch)) console.warn(error);
  } finally {
    progress.hidden = true;
    isBusy = false;
  }
}

button.hidden = false;
document.getElementById("proof-file").hidden = false;
button.addEventListener("click", () => check(fetchParts, true));
files.addEventListener("change", () => files.files.length && check(() => readFiles(files.files), false));

// All parts in one file, which the stand-alone verifier takes.
download.addEventListener("click", async event => {
  event.preventDefault();
  const whole = { seals: [], entries: [] };
  try {
    for await (const { seals, entries, ...rest } of fetchParts()) {
      whole.seals.push(...seals);
      whole.entries.push(...entries);
      Object.assign(whole, rest);
    }
  } catch {
    location.assign(download.href);
    return;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(whole)], { type: "application/json" }));
  link.download = "credits-proof.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
});
