// The form of a generation: what it does better with a script.

const form = document.getElementById("create");
if (form) prepare(form);

function prepare(form) {
  const prompt = form.elements.prompt;
  const requote = () => form.dispatchEvent(new CustomEvent("requote"));
  // The draft hears of values that a script has set.
  const changed = element => element.dispatchEvent(new Event("input", { bubbles: true }));

  // ---- a draft that was restored may name another model than the page has settings for -----------------------------
  function draftRestored() {
    restoreFiles();
    for (const select of form.querySelectorAll("select[data-settings]")) {
      if (document.getElementById(select.dataset.settings).dataset.model === select.value) continue;
      htmx.trigger(select, "change");
    }
    requote();
  }
  form.addEventListener("draft-restored", draftRestored);
  // studio.js ran first, and htmx hears of changes by now.
  if (form.dataset.restored !== undefined) draftRestored();
  // Settings come with the values that the form had when they were asked for; what was changed since is in the draft.
  document.addEventListener("htmx:before:swap", event => {
    if (event.detail?.ctx?.target?.classList?.contains("settings")) delete form.dataset.restored;
  });
  document.addEventListener("htmx:after:swap", event => {
    const target = event.detail?.ctx?.target;
    if (target?.classList?.contains("settings")) requote();
    showAdders();
  });

  // ---- the suggested prompt -----------------------------------------------------------------------------------------
  form.addEventListener("click", event => {
    const button = event.target.closest("[data-use-prompt]");
    if (!button) return;
    event.preventDefault();
    prompt.value = form.elements.enhanced.value;
    document.getElementById("enhanced").replaceChildren();
    changed(prompt);
    prompt.focus();
  });

  // ---- files: chosen, dropped, pasted, from the camera --------------------------------------------------------------
  function showAdders() {
    for (const each of form.querySelectorAll(".scripted")) each.hidden = false;
  }
  showAdders();
  const slotOf = element => element?.closest?.(".slot");

  function chosenItem(slot, value, name, image) {
    const item = document.createElement("li"), label = document.createElement("label"), box = document.createElement("input");
    const words = document.createElement("span");
    label.className = "check";
    box.type = "checkbox";
    box.name = slot.dataset.slot;
    box.value = value;
    box.checked = true;
    words.textContent = name;
    label.append(box, " ", words);
    if (image) {
      const picture = document.createElement("img");
      picture.src = image;
      picture.alt = "";
      item.append(picture);
    }
    item.append(label);
    return item;
  }

  // Files are no part of the page that a draft is restored to.
  function restoreFiles() {
    const key = `draft:${form.dataset.draft}`, values = JSON.parse(sessionStorage.getItem(key) ?? history.state?.[key] ?? "{}");
    for (const slot of form.querySelectorAll(".slot")) {
      for (const value of values[slot.dataset.slot] ?? []) {
        if ([...slot.querySelectorAll("input[name]")].some(each => each.value === value)) continue;
        const [id, ...name] = value.split(" ");
        const image = slot.dataset.type === "image" ? `/parts/library/${encodeURIComponent(id)}/thumbnail` : "";
        slot.querySelector(".chosen").append(chosenItem(slot, value, name.join(" "), image));
        unfold(slot);
      }
    }
  }
  function unfold(slot) {
    const fold = slot.closest("details");
    if (fold) fold.open = true;
  }

  async function send(slot, file) {
    unfold(slot);
    const list = slot.querySelector(".chosen"), item = document.createElement("li"), bar = document.createElement("progress");
    const words = document.createElement("span");
    words.textContent = file.name;
    bar.setAttribute("aria-label", file.name);
    item.append(words, bar);
    if (slot.dataset.many === undefined) list.replaceChildren(item);
    else list.append(item);
    try {
      const { upload } = await import(form.dataset.upload);
      const asset = await upload(file, part => (part < 1 ? (bar.value = part) : bar.removeAttribute("value")));
      const image = slot.dataset.type === "image" ? URL.createObjectURL(file) : "";
      const chosen = chosenItem(slot, `${asset.id} ${asset.name}`, asset.name, image);
      item.replaceWith(chosen);
      changed(chosen.querySelector("input"));
    } catch (error) {
      bar.remove();
      words.className = "bad";
      words.setAttribute("role", "alert");
      words.textContent = `${file.name}. ${slot.dataset.failed} ${error.message}`;
    }
  }
  async function sendAll(slot, files) {
    for (const file of [...files].slice(0, slot.dataset.many === undefined ? 1 : undefined)) await send(slot, file);
  }
  form.addEventListener("change", async event => {
    const slot = slotOf(event.target);
    if (!slot) return;
    if (event.target.type === "file") {
      await sendAll(slot, event.target.files);
      event.target.value = "";
      return;
    }
    // One file only: the one that was chosen last.
    if (slot.dataset.many === undefined && event.target.checked) {
      for (const other of slot.querySelectorAll("input[name]")) if (other !== event.target) other.checked = false;
    }
  });
  for (const name of ["dragover", "dragleave", "drop"]) {
    form.addEventListener(name, event => {
      const slot = slotOf(event.target);
      if (!slot || (name !== "dragleave" && !event.dataTransfer.types.includes("Files"))) return;
      event.preventDefault();
      if (name === "dragover") slot.dataset.over = "";
      else delete slot.dataset.over;
      if (name === "drop") sendAll(slot, event.dataTransfer.files);
    });
  }
  document.addEventListener("paste", event => {
    const files = [...event.clipboardData.files];
    if (!files.length) return;
    const fits = each => files.some(file => file.type.startsWith(`${each.dataset.type}/`));
    const slot = slotOf(document.activeElement) ?? [...form.querySelectorAll(".slot")].find(fits);
    if (!slot) return;
    event.preventDefault();
    sendAll(slot, files);
  });

  // ---- offline ------------------------------------------------------------------------------------------------------
  const notice = document.getElementById("offline");
  const showConnection = () => {
    notice.hidden = navigator.onLine;
    if (navigator.onLine) requote();
  };
  document.addEventListener("htmx:config:request", event => {
    if (!navigator.onLine) event.preventDefault();
  });
  addEventListener("offline", showConnection);
  addEventListener("online", showConnection);
  notice.hidden = navigator.onLine;
  form.addEventListener("submit", event => {
    if (navigator.onLine) return;
    event.preventDefault();
    notice.scrollIntoView({ block: "center" });
  });
}

// A page out of the browser's memory has the key of a form that was sent already.
addEventListener("pageshow", event => {
  if (event.persisted) location.reload();
});
