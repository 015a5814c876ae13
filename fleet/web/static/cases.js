// A picture goes by itself after its time, and when the page is left; numbers choose a reason while the list has the focus, and n leads
// to the next case while nobody types.
const gone = (figure) => {
  figure.querySelectorAll("img, .zooms, figcaption").forEach((part) => part.remove());
  const says = figure.querySelector("[role=status]");
  if (says) says.hidden = false;
};

export const prepare = (part) => {
  if (part.dataset.prepared) return;
  part.dataset.prepared = "yes";
  if (part.dataset.seconds) setTimeout(() => gone(part), 1000 * Number(part.dataset.seconds));
};

addEventListener("pagehide", () => document.querySelectorAll(".opened").forEach(gone));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest?.("textarea, select, input:not([type=radio])")) return;
  // Single keys beyond the focused list are off where the visitor switched them off (WCAG 2.1, 2.1.4).
  if (event.key === "n" && document.querySelector("main[data-shortcuts]")) {
    document.querySelector("#main a[data-key=n]")?.click();
  } else if (/^[1-9]$/.test(event.key) && event.target.closest?.("#decision")) {
    const choice = document.querySelector(`#decision input[data-number="${event.key}"]`);
    choice?.focus();
    choice?.click();
  }
});
