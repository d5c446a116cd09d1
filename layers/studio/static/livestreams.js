// The player of a livestream: it asks to watch on before its permission ends, and begins again after a gap of the picture.

const video = document.querySelector("video[data-playback]");
if (video) keepWatching(video);

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
