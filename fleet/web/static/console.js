// Fetches the live part of the page every two seconds and puts it in place if it changed.
const PERIOD_MS = 2000;
const live = document.getElementById("live");
const updated = document.getElementById("updated");
const lost = document.getElementById("lost");
let shown = "";

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(live.dataset.fragment, { signal: AbortSignal.timeout(PERIOD_MS * 5) });
    if (!answer.ok) throw new Error(String(answer.status));
    const text = await answer.text();
    if (text !== shown) {
      const parsed = new DOMParser().parseFromString(text, "text/html");
      live.replaceChildren(...parsed.body.childNodes);
      shown = text;
    }
    // The time stands outside the part that is compared, so that a page at rest keeps its focus and selection.
    updated.textContent = answer.headers.get("Lifecert-Time");
    lost.hidden = true;
  } catch {
    lost.hidden = false;
  }
}

async function loop() {
  await refresh();
  setTimeout(loop, PERIOD_MS);
}

document.addEventListener("visibilitychange", refresh);
setTimeout(loop, PERIOD_MS);
