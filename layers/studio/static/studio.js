// What pages do better with a script. Without it they are read and their forms are sent all the same.

// ---- colours: at once, and in the cookie from which the next pages have them -------------------------------------------
document.addEventListener("click", event => {
  const choice = event.target.closest("[data-theme-choice]")?.dataset.themeChoice;
  if (!choice) return;
  event.preventDefault();
  document.cookie = `studio-theme=${choice}; Path=/; Max-Age=34560000; Secure; SameSite=Lax`;
  if (choice === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
});

// ---- menus: close on Escape and on a click elsewhere ----------------------------------------------------------------
document.addEventListener("click", event => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", event => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// ---- the row of rooms: where it does not fit, it begins where the person is ------------------------------------------
document.querySelector(".rooms [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// ---- times in the viewer's own zone ---------------------------------------------------------------------------------
const moment = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
function showTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]:not([data-shown])")) {
    element.title = element.textContent;
    element.textContent = moment.format(new Date(element.dateTime));
    element.dataset.shown = "";
  }
}

// ---- drafts: what somebody writes survives a reload, a lost connection and an ended session -------------------------
// A form with data-draft="name" keeps its text fields in this tab until it has been sent and accepted.
function fieldsOf(form) {
  return [...form.elements].filter(each => each.name && !each.name.startsWith("form_") && !["hidden", "password", "file", "submit"].includes(each.type));
}
function restoreDraft(form) {
  // A form that was sent is kept by its entry in the history: the back button finds it.
  const key = `draft:${form.dataset.draft}`, stored = sessionStorage.getItem(key) ?? history.state?.[key];
  if (!stored || form.dataset.restored !== undefined) return;
  form.dataset.restored = "";
  const values = JSON.parse(stored);
  for (const field of fieldsOf(form)) {
    if (!(field.name in values)) continue;
    if (field.type === "checkbox" || field.type === "radio") field.checked = values[field.name].includes(field.value);
    // A page may have other choices by now, or for another kind.
    else if (field.tagName !== "SELECT" || [...field.options].some(each => each.value === values[field.name][0])) field.value = values[field.name][0];
  }
  form.dispatchEvent(new CustomEvent("draft-restored", { bubbles: true }));
}
document.addEventListener("input", event => {
  const form = event.target.closest("form[data-draft]");
  if (!form) return;
  const values = {};
  for (const field of fieldsOf(form)) {
    if ((field.type === "checkbox" || field.type === "radio") && !field.checked) continue;
    (values[field.name] ??= []).push(field.value);
  }
  sessionStorage.setItem(`draft:${form.dataset.draft}`, JSON.stringify(values));
});
document.addEventListener("submit", event => {
  const key = `draft:${event.target.dataset.draft}`, stored = sessionStorage.getItem(key);
  if (stored) history.replaceState({ ...history.state, [key]: stored }, "");
});
// A page that shows what a form made says so: data-sent="name" drops the drafts of that form, `name` and `name:…`.
function dropDrafts(root) {
  for (const element of root.querySelectorAll("[data-sent]")) {
    const key = `draft:${element.dataset.sent}`;
    for (const each of Object.keys(sessionStorage)) if (each === key || each.startsWith(`${key}:`)) sessionStorage.removeItem(each);
  }
}

// ---- copying --------------------------------------------------------------------------------------------------------
document.addEventListener("click", async event => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  // Of a link its whole address; of anything else its text.
  const source = document.getElementById(button.dataset.copy);
  await navigator.clipboard.writeText(source.href ?? source.textContent.trim());
  button.dataset.copied = "";
});

// ---- a form is sent once --------------------------------------------------------------------------------------------
document.addEventListener("submit", event => {
  const form = event.target;
  if (event.defaultPrevented) return;
  if (form.dataset.sending !== undefined && !form.hasAttribute("hx-post")) event.preventDefault();
  form.dataset.sending = "";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sending]")) delete form.dataset.sending;
});

// ---- parts of a form that belong to one choice of a select: data-choice="value" data-of="id of the select" ------------
function showChosen() {
  for (const part of document.querySelectorAll("[data-choice]")) part.hidden = document.getElementById(part.dataset.of).value !== part.dataset.choice;
}
document.addEventListener("change", showChosen);

function prepare(root) {
  showTimes(root);
  showChosen();
  dropDrafts(root);
  for (const form of root.querySelectorAll("form[data-draft]")) restoreDraft(form);
}
prepare(document);
document.addEventListener("htmx:after:swap", () => prepare(document));

// ---- the other scripts: when the page has been seen, with which they would compete on a slow connection ----------------
// Forms are sent without them until then; what somebody has changed by then, they are told.
const changed = new Map();
const note = event => changed.set(event.target, (changed.get(event.target) ?? new Set()).add(event.type));
function loadScript(address) {
  const script = document.createElement("script");
  script.src = address;
  // htmx looks at the page in a timer of its own, which is before ours.
  const loaded = new Promise((done, failed) => Object.assign(script, { onload: () => setTimeout(done), onerror: failed }));
  document.head.append(script);
  return loaded;
}
async function loadOthers() {
  const names = [...document.querySelectorAll('meta[name="script"]')], addresses = names.map(each => each.content);
  const isClassic = address => address.includes("/htmx.");
  for (const href of addresses.filter(each => !isClassic(each))) document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href }));
  for (const address of addresses) await (isClassic(address) ? loadScript(address) : import(address));
  for (const name of ["input", "change"]) removeEventListener(name, note, true);
  for (const [element, types] of changed) for (const type of types) element.dispatchEvent(new Event(type, { bubbles: true }));
  for (const each of names) each.remove();
}
for (const name of ["input", "change"]) addEventListener(name, note, true);
requestAnimationFrame(() => setTimeout(loadOthers));
