// Swagger UI on the API's document, with the person's access token. Until it is ready, and without it, the table stays.
const place = document.getElementById("swagger-ui");
const ended = document.getElementById("docs-ended");

const ui = SwaggerUIBundle({
  url: place.dataset.document,
  domNode: place,
  presets: [SwaggerUIBundle.presets.apis],
  // The page has its own heading and its own words about the document.
  plugins: [() => ({ wrapComponents: { InfoContainer: () => () => null } })],
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  // It would send the document to somebody else's server to be checked.
  validatorUrl: "none",
  responseInterceptor(answer) {
    if (answer.status === 401) ended.hidden = false;
    return answer;
  },
  onComplete() {
    ui.preauthorizeApiKey("bearer", place.dataset.token);
    // The page has one main part already, and this is inside it.
    place.querySelector("main")?.setAttribute("role", "group");
    document.getElementById("calls").hidden = true;
  },
});

// ---- light and dark: Swagger UI has a class for it ------------------------------------------------------------------
const root = document.documentElement;
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
function showScheme() {
  root.classList.toggle("dark-mode", (root.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark");
}
showScheme();
prefersDark.addEventListener("change", showScheme);
new MutationObserver(showScheme).observe(root, { attributeFilter: ["data-theme"] });
