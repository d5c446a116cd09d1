// The page of a generation asks again and again how far it is. An answer brings the next question with it; when none came
// (no connection, or a disturbance), the page is loaded again after a while.

const PAUSE_MS = 8000;

document.addEventListener("htmx:finally:request", event => {
  const asked = event.target.id;
  if (!asked?.startsWith("look-")) return;
  const check = () => {
    if (!document.getElementById(asked)) return;
    if (navigator.onLine) location.reload();
    else addEventListener("online", () => location.reload(), { once: true });
  };
  setTimeout(check, PAUSE_MS);
});
