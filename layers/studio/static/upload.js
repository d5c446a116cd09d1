// Sends files to the media bucket, with their progress. Studio announces a file to the API and gets a signed form for it;
// the bytes go from the browser to the bucket, and then the API checks them.

const own = JSON.parse(document.body.getAttribute("hx-headers:inherited"));

async function ask(path, fields = {}) {
  const answer = await fetch(path, { method: "POST", headers: own, body: new URLSearchParams(fields) });
  const isJson = (answer.headers.get("content-type") ?? "").startsWith("application/json");
  const data = isJson ? await answer.json() : {};
  if (!answer.ok || !isJson) throw new Error(data.message ?? String(answer.status));
  return data;
}

function post(url, fields, file, onProgress) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  body.append("file", file);
  return new Promise((resolve, reject) => {
    // fetch tells nothing of what has been sent so far.
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.upload.onprogress = event => onProgress(event.total ? event.loaded / event.total : 0);
    request.onload = () => (request.status < 300 ? resolve() : reject(new Error(String(request.status))));
    request.onerror = () => reject(new Error("offline"));
    request.send(body);
  });
}

// Sends one file. onProgress: called with the part that was sent, from 0 to 1. Returns the file's id, type and name; the
// message of a rejection is a sentence for the person.
export async function upload(file, onProgress = () => {}) {
  const type = file.type || "application/octet-stream";
  const begun = await ask("/library/uploads", { name: file.name.slice(-120), content_type: type, size: file.size });
  await post(begun.url, begun.fields, file, onProgress);
  return ask(`/library/uploads/${begun.id}/complete`);
}

// ---- the library's own form -----------------------------------------------------------------------------------------
const form = document.getElementById("upload");
if (form) prepareForm(form);

function prepareForm(form) {
  const input = form.querySelector("input[type=file]"), list = document.getElementById("sending");

  async function send(file) {
    const line = document.createElement("li"), bar = document.createElement("progress"), words = document.createElement("span");
    words.textContent = `${file.name} ${form.dataset.sending}`;
    bar.setAttribute("aria-label", file.name);
    bar.value = 0;
    line.append(words, bar);
    list.append(line);
    try {
      const asset = await upload(file, part => {
        if (part < 1) return void (bar.value = part);
        bar.removeAttribute("value");
        words.textContent = `${file.name} ${form.dataset.checking}`;
      });
      const tile = await fetch(`/parts/library/${asset.id}/tile`);
      document.getElementById("assets").insertAdjacentHTML("afterbegin", await tile.text());
      line.remove();
    } catch (error) {
      bar.remove();
      line.className = "bad";
      words.textContent = `${file.name} ${form.dataset.failed} ${error.message}`;
    }
  }
  async function sendAll(files) {
    // One after another: the connection is shared anyway, and the first is there sooner.
    for (const file of [...files]) await send(file);
  }

  input.addEventListener("change", async () => {
    await sendAll(input.files);
    input.value = "";
  });
  form.addEventListener("dragover", event => {
    event.preventDefault();
    form.dataset.over = "";
  });
  form.addEventListener("dragleave", () => delete form.dataset.over);
  form.addEventListener("drop", event => {
    event.preventDefault();
    delete form.dataset.over;
    sendAll(event.dataTransfer.files);
  });
  form.addEventListener("submit", event => event.preventDefault());
}
