// Updates a page that is complete without this script: progress by the server's events, and parts that are fetched
// again. Also zooms timelines, saves charts and copies text.
"use strict";
(() => {
  const parts = () => [...document.querySelectorAll("[data-refresh]")];

  // Fetches the page again and replaces the parts that change. Returns null while another fetch runs, while the tab is
  // hidden, or when the server does not respond; the parts are then fetched later.
  const isTimed = (part) => part.dataset.refresh !== "on-state";
  const isOfState = (part) => !isTimed(part);
  const isUsed = (part) =>
    part.contains(document.activeElement) && document.activeElement.matches("a, button, input, select, textarea, summary");
  let isAsking = false;
  let isDue = false;
  async function refresh(wanted) {
    if (isAsking || document.hidden || !parts().some(wanted)) return null;
    isAsking = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      // The session has ended; the reload leads to the sign-in page.
      if (answer.redirected) location.reload();
      if (!answer.ok) return null;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      return parts().filter(wanted).map((part) => replace(part, fresh.getElementById(part.id))).every(Boolean);
    } catch {
      return null;
    } finally {
      isAsking = false;
    }
  }
  // A part is not replaced while one of its controls has the focus or its timeline is zoomed.
  function replace(part, next) {
    if (isUsed(part) || (isTimed(part) && part.querySelector(".jm-zoomed"))) return false;
    if (!next) return true;
    const opened = [...part.querySelectorAll("details")].map((details) => details.open);
    [...next.querySelectorAll("details")].forEach((details, index) => (details.open = opened[index] ?? details.open));
    part.replaceWith(next);
    equip(next);
    return true;
  }
  async function catchUp() {
    if (!isDue || isAsking || document.hidden) return;
    isDue = false;
    const isReplaced = await refresh(isOfState);
    if (isReplaced) return catchUp();
    isDue = parts().some(isOfState);
    // Without a response, tries again in 3 s. A part in use is replaced once it loses the focus.
    if (isDue && isReplaced === null) setTimeout(catchUp, 3000);
  }
  const periods = parts().filter(isTimed).map((part) => Number(part.dataset.refresh));
  if (periods.length > 0) setInterval(() => refresh(isTimed).then(catchUp), 1000 * Math.min(...periods));
  document.addEventListener("visibilitychange", catchUp);
  document.addEventListener("focusout", () => setTimeout(catchUp));

  // Shows the progress of experiments from the server's events.
  const three = (value) => Number(value.toPrecision(3)).toString();
  const two = (whole) => String(whole).padStart(2, "0");
  const time = (sec) => {
    const [whole, minutes] = [Math.round(sec), Math.floor(Math.round(sec) / 60)];
    if (sec < 60) return `${three(sec)} s`;
    return whole < 3600 ? `${minutes} min ${two(whole % 60)} s` : `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  };
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
    events.addEventListener("state", () => {
      isDue = true;
      catchUp();
    });
  }

  // Buttons that copy the text of an element.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;

  // Forms of actions that cannot be undone ask for confirmation.
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  // Every chart can be saved as an SVG file that includes its styles.
  const styles = () =>
    [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]).map((rule) => rule.cssText).filter((text) => text.includes("jm-"));
  function save(chart) {
    const copy = chart.cloneNode(true);
    const style = document.createElementNS("http://www.w3.org/2000/svg", "style");
    style.textContent = styles().join("\n");
    copy.prepend(style);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
    link.download = `${chart.querySelector("title").textContent}.svg`;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // A timeline can show a part of its time, selected with the mouse or by buttons.
  function zoomable(chart, tools) {
    const [from, to] = [Number(chart.dataset.fromSec), Number(chart.dataset.toSec)];
    const [left, right] = [Number(chart.dataset.left), Number(chart.dataset.right)];
    const plots = [...chart.querySelectorAll("svg")].map((plot) => [plot, plot.viewBox.baseVal.width, plot.viewBox.baseVal.height]);
    const status = tools.appendChild(document.createElement("span"));
    status.setAttribute("role", "status");
    let shown = [0, 1];
    function see(begin, end) {
      const length = Math.min(1, Math.max(end - begin, 1e-4));
      const first = Math.min(Math.max(begin, 0), 1 - length);
      shown = [first, first + length];
      for (const [plot, width, height] of plots) plot.setAttribute("viewBox", `${width * first} 0 ${width * length} ${height}`);
      chart.classList.toggle("jm-zoomed", length < 1);
      const at = (share) => `${three(from + share * (to - from))} s`;
      status.textContent = length < 1 ? `${at(shown[0])} to ${at(shown[1])}` : "";
    }
    const around = (factor, shift) => () => {
      const [middle, half] = [(shown[0] + shown[1]) / 2, (shown[1] - shown[0]) / 2];
      see(middle + shift * half - half * factor, middle + shift * half + half * factor);
    };
    button(tools, "Zoom in", around(0.5, 0));
    button(tools, "Zoom out", around(2, 0));
    button(tools, "Earlier", around(1, -1));
    button(tools, "Later", around(1, 1));
    button(tools, "Whole", () => see(0, 1));
    const share = (event) => {
      const box = chart.getBoundingClientRect();
      const inside = (((event.clientX - box.left) / box.width) * chart.viewBox.baseVal.width - left) / (right - left);
      return shown[0] + Math.min(Math.max(inside, 0), 1) * (shown[1] - shown[0]);
    };
    let begun = null;
    chart.addEventListener("pointerdown", (event) => (begun = event.pointerType === "mouse" ? share(event) : null));
    chart.addEventListener("pointerup", (event) => {
      const [one, other] = [begun, share(event)];
      begun = null;
      if (one != null && Math.abs(one - other) > 0.01 * (shown[1] - shown[0])) see(Math.min(one, other), Math.max(one, other));
    });
    chart.addEventListener("dblclick", () => see(0, 1));
  }
  function button(tools, words, act) {
    const made = document.createElement("button");
    Object.assign(made, { type: "button", className: "quiet", textContent: words });
    made.addEventListener("click", act);
    tools.append(made);
  }
  function equip(within) {
    for (const chart of within.querySelectorAll("figure.chart > svg")) giveTools(chart);
  }
  function giveTools(chart) {
    const tools = document.createElement("div");
    tools.className = "tools";
    tools.setAttribute("role", "group");
    tools.setAttribute("aria-label", chart.querySelector("title").textContent);
    chart.after(tools);
    if (chart.dataset.chart === "timeline") zoomable(chart, tools);
    button(tools, "Save as SVG", () => save(chart));
  }
  equip(document);
})();
