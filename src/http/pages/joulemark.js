// Follows what changes on a page that is whole without it: progress by the server's events, and parts that are asked for
// anew. Also zooms charts over time, and copies what is to be copied.
"use strict";
(() => {
  const parts = () => [...document.querySelectorAll("[data-refresh]")];

  // Parts of the page, as the server writes them now.
  let isAsking = false;
  async function refresh(wanted) {
    if (isAsking || document.hidden) return;
    isAsking = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of parts().filter(wanted)) {
        const next = fresh.getElementById(part.id);
        // Whoever is about to press a button there keeps it.
        if (next && !part.contains(document.activeElement)) part.replaceWith(next);
      }
    } catch {
      // The server is away; the next turn asks again.
    } finally {
      isAsking = false;
    }
  }
  const isTimed = (part) => part.dataset.refresh !== "on-state";
  const periods = parts().filter(isTimed).map((part) => Number(part.dataset.refresh));
  if (periods.length > 0) setInterval(() => refresh(isTimed), 1000 * Math.min(...periods));

  // What an experiment is doing, by the server's events.
  const three = (value) => Number(value.toPrecision(3)).toString();
  const time = (sec) => (sec < 60 ? `${three(sec)} s` : `${Math.floor(sec / 60)} min ${String(Math.round(sec % 60)).padStart(2, "0")} s`);
  const words = {
    phase: (p) => p.phase.replaceAll("_", " ") + (p.cycle == null ? "" : `, cycle ${p.cycle + 1} of ${p.num_cycles}`),
    tokens_per_second: (p) => (p.tokens_per_second == null ? "–" : three(p.tokens_per_second)),
    power_w: (p) => (p.power_w == null ? "unknown" : `${three(p.power_w)} W`),
    eta_sec: (p) => (p.eta_sec == null ? "–" : time(p.eta_sec)),
    elapsed_sec: (p) => time(p.elapsed_sec),
    generated_tokens: (p) => String(p.generated_tokens),
  };
  function show(progress) {
    for (const row of document.querySelectorAll(`[data-experiment="${progress.id}"]`)) {
      for (const cell of row.querySelectorAll("[data-progress]")) {
        const write = words[cell.dataset.progress];
        if (write) cell.textContent = write(progress);
      }
    }
  }
  const followed = document.querySelector("[data-events]");
  if (followed) {
    const events = new EventSource(followed.dataset.events);
    events.addEventListener("progress", (event) => show(JSON.parse(event.data)));
    events.addEventListener("state", () => refresh((part) => part.dataset.refresh === "on-state"));
  }

  // A button that copies the text of what it names.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;

  // Forms whose action is not to be taken back ask first.
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
})();
