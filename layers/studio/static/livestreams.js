// The player of a livestream: it asks to watch on before its permission ends, and begins again after a gap of the picture.
// And the form that sends a video in place of a livestream, from the browser to the streaming service, with its progress.

const video = document.querySelector("video[data-playback]");
if (video) keepWatching(video);
const sending = document.getElementById("send-video");
if (sending) prepareSending(sending);

function keepWatching(video) {
  const every = 240_000, afterGap = 5_000;

  async function renew({ restart }) {
    let answer;
    try {
      answer = await fetch(video.dataset.playback, { headers: { accept: "application/json" } });
    } catch {
      return;
    }
    const { url } = answer.ok ? await answer.json() : {};
    if (!url || !restart) return;
    video.src = url;
    await video.play().catch(() => {});
  }

  setInterval(() => renew({ restart: false }), every);
  // A URL of another service has its permission in itself: a player that stops gets a new one.
  video.addEventListener("error", () => setTimeout(() => renew({ restart: true }), afterGap));
}

function prepareSending(form) {
  const input = form.querySelector("input"), button = form.querySelector("button"), said = form.querySelector("output");

  function put(file, onProgress) {
    return new Promise((resolve, reject) => {
      // fetch tells nothing of what has been sent so far.
      const request = new XMLHttpRequest();
      request.open("PUT", form.dataset.url);
      request.upload.onprogress = event => onProgress(event.total ? event.loaded / event.total : 0);
      request.onload = () => (request.status < 300 ? resolve() : reject(new Error(String(request.status))));
      request.onerror = () => reject(new Error("offline"));
      request.send(file);
    });
  }

  form.addEventListener("submit", async event => {
    event.preventDefault();
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", form.dataset.sending);
    bar.value = 0;
    said.replaceChildren(form.dataset.sending, " ", bar);
    button.disabled = true;
    try {
      await put(input.files[0], part => (bar.value = part));
      location.assign(form.dataset.next);
    } catch {
      said.replaceChildren(form.dataset.failed);
      button.disabled = false;
    }
  });
  // Without this script a browser cannot send the file so: then the page has the command of a program alone.
  form.hidden = false;
}
