// What happens is told by one connection, so that a page need not ask again and again. A page that shows a generation
// under way is connected as long as it is; any other page when somebody has looked at it for a while, for the bell and
// for a list of generations.
// Without a connection the page asks, as it did before.

const SOON_MS = 1500, LATER_MS = 30000, PING_MS = 240000;
let socket = null, pings = 0, isLive = false, askAgain = false;

const look = () => document.querySelector("[data-live]");
const list = () => document.querySelector("[data-live-list]");

// The page's own question is the one way to bring it up to date; while we are connected, it is asked when something has
// happened. One that is under way is not cut: the next one follows it.
function ask() {
  const element = look();
  askAgain = element?.classList.contains("htmx-request") ?? false;
  if (!element || askAgain) return;
  const address = new URL(element.getAttribute("hx-get"), location.origin);
  if (isLive) address.searchParams.set("live", "1");
  else address.searchParams.delete("live");
  element.setAttribute("hx-get", address.pathname + address.search);
  element.dispatchEvent(new CustomEvent("look"));
}
document.addEventListener("htmx:finally:request", () => askAgain && setTimeout(ask));

// A list shows states, but no progress.
const changesList = message => message.type === "subscribed" || (message.type.startsWith("generation.") && message.type !== "generation.progress");

function hear(message) {
  if (message.channel === list()?.dataset.liveList && changesList(message)) list().dispatchEvent(new CustomEvent("changed"));
  if (message.channel === "notifications") {
    if (message.type.includes(".")) htmx.ajax("GET", "/parts/notifications/count", { target: "[data-unread]", swap: "innerHTML" });
  } else if (message.type === "subscribed" || message.channel === look()?.dataset.live) {
    isLive = true;
    ask();
  }
}

async function connect() {
  if (socket || document.hidden || !("WebSocket" in window)) return;
  const answer = await fetch("/parts/live").catch(() => null);
  const found = answer?.ok && answer.headers.get("content-type")?.startsWith("application/json") ? await answer.json() : null;
  if (!found || socket) return;
  const opened = socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws?ticket=${encodeURIComponent(found.ticket)}`);
  opened.addEventListener("open", () => {
    for (const channel of ["notifications", look()?.dataset.live, list()?.dataset.liveList]) if (channel) opened.send(JSON.stringify({ action: "subscribe", channel }));
    pings = setInterval(() => opened.send('{"action": "ping"}'), PING_MS);
  });
  opened.addEventListener("message", event => hear(JSON.parse(event.data)));
  opened.addEventListener("close", () => {
    clearInterval(pings);
    socket = null;
    if (isLive) {
      isLive = false;
      ask();
    }
  });
}

setTimeout(() => (look() || list()?.hasAttribute("data-open")) && connect(), SOON_MS);
setTimeout(connect, LATER_MS);
// A page that is kept for the back button has no connection.
addEventListener("pagehide", () => socket?.readyState === WebSocket.OPEN && socket.close());
addEventListener("pageshow", event => event.persisted && connect());
