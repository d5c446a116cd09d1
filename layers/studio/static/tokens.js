// The examples name the address at which this page was loaded.
for (const element of document.querySelectorAll("[data-origin]")) element.textContent = location.origin;
