// Prints the page with the recovery codes.
for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => print());
