"use strict";
// Texts lie in data-text as base64 of UTF-8 and are put in as text, never as markup.
function show(secret, visible) {
  if (visible === secret.classList.contains("shown")) return;
  if (!("cover" in secret.dataset)) secret.dataset.cover = secret.textContent;
  secret.classList.toggle("shown", visible);
  if (visible) {
    const bytes = Uint8Array.from(atob(secret.dataset.text), (letter) => letter.charCodeAt(0));
    secret.textContent = new TextDecoder().decode(bytes);
  } else {
    secret.textContent = secret.dataset.cover;
  }
}
function press(button, visible) {
  button.setAttribute("aria-pressed", String(visible));
  button.textContent = visible ? button.dataset.hide : button.dataset.show;
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-reveal]");
  if (!button) return;
  const visible = button.getAttribute("aria-pressed") !== "true";
  const all = button.dataset.reveal === "all";
  const scope = all ? document : button.closest(".post");
  scope.querySelectorAll(".secret").forEach((secret) => show(secret, visible));
  scope.querySelectorAll("button[data-reveal]").forEach((other) => press(other, visible));
  if (!all && !visible) document.querySelectorAll("button[data-reveal=all]").forEach((other) => press(other, false));
});
