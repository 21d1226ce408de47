// History: a day as stretches of one label, with gaps where nobody watched.

// Stretches { from, to, label, event } of a day, oldest first; label null where nobody watched.
function stretchesOf({ from, to, events, before, gaps }, now, watching) {
  const end = Math.min(to, now), oldest = [...events].reverse();
  const off = gaps.map((gap) => [+new Date(gap.from), gap.to ? +new Date(gap.to) : end])
    .map(([start, stop]) => [Math.max(start, +from), Math.min(stop, end)])
    .filter(([start, stop]) => stop > start).sort((a, b) => a[0] - b[0]);
  const found = [];
  const add = (start, stop, event, label) => {
    // A gap cuts what it lies in: what was seen before it is not known to have stayed.
    for (const [out, back] of off) {
      if (back <= start || out >= stop) continue;
      if (out > start) found.push({ from: start, to: out, label, event });
      start = stop;
    }
    if (stop > start) found.push({ from: start, to: stop, label, event });
  };
  // With the events of memory alone nobody knows what came before them.
  if (before) add(+from, oldest.length ? +new Date(oldest[0].ts) : end, null, before.label);
  oldest.forEach((event, i) => {
    const next = oldest[i + 1];
    if (next || watching || end === +to) {
      add(+new Date(event.ts), next ? +new Date(next.ts) : end, event, event.label);
    }
  });
  for (const [start, stop] of off) found.push({ from: start, to: stop, label: null, event: null });
  return found.sort((a, b) => a.from - b.from);
}

function drawTimeline(svg, { from, to }, stretches) {
  const width = svg.clientWidth, height = svg.clientHeight, bottom = height - 20;
  if (!width) return;
  const x = (time) => (time - from) / (to - from) * width;
  const drawn = [element("rect", { class: "track", x: 0, y: 0, width, height: bottom, rx: 6 })];
  for (const one of stretches) {
    const bar = element("rect", {
      class: one.label === null ? "gap" : `band ${colour(one.label)}`,
      x: x(one.from), y: 0, height: bottom, width: Math.max(1, x(one.to) - x(one.from)),
    });
    if (one.label !== null && wanted && one.label !== wanted) bar.classList.add("faint");
    if (one.event) bar.dataset.event = one.event.id;
    drawn.push(bar);
  }
  // Hours by the clock on the wall, also on the two days a year that have more or fewer of them.
  const step = width < 500 ? 6 : 3;
  for (let hour = 0; hour <= 24; hour += step) {
    const at = x(new Date(from.getFullYear(), from.getMonth(), from.getDate(), hour));
    drawn.push(element("line", { class: "grid", x1: at, x2: at, y1: bottom, y2: bottom + 4 }),
      element("text", { x: at, y: height - 3,
        "text-anchor": hour === 0 ? "start" : hour === 24 ? "end" : "middle" }, `${two(hour)}:00`));
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(...drawn);
}

// Labels with how long each was seen, longest first.
function showLegend(stretches) {
  const seconds = new Map();
  for (const one of stretches) {
    if (one.label === null) continue;
    seconds.set(one.label, (seconds.get(one.label) ?? 0) + (one.to - one.from) / 1000);
  }
  const labels = [...seconds].sort((a, b) => b[1] - a[1]);
  $("legend").replaceChildren(...labels.slice(0, 8).map(([label, time]) =>
    element("li", {}, dot(label), labelled(label), element("span", { class: "quiet" }, duration(time)))));
  if (labels.length > 8) {
    $("legend").append(element("li", { class: "quiet" }, `and ${whole(labels.length - 8)} more`));
  }
  say($("timeline-text"), labels.slice(0, 8).map(([label, time]) => `${label} ${duration(time)}`).join(", "));
}

// Why nobody watched, in words.
const WHY = {
  off: "off", paused: "paused", stalled: "stalled", starting: "starting", stopping: "stopped",
  lost: "power lost", clock: "the clock was wrong", before: "before what is kept",
};

// Gaps in words, too: colour and hatching alone tell nothing to a screen reader.
function showGaps() {
  const words = day.gaps.map(({ from, to, why }) => `${clock(from)} to ${to ? clock(to) : "now"}`
    + (Object.hasOwn(WHY, why ?? "") ? ` (${WHY[why]})` : ""));
  const more = words.length > 5 ? ` and ${words.length - 5} more` : "";
  tell($("gaps"), words.length
    ? `Nobody watched: ${words.slice(0, 5).join(", ")}${more}.` : "");
}

$("timeline").addEventListener("click", (click) => {
  const event = day?.events.find((one) => one.id === click.target.dataset.event);
  if (event) openEvent(day.events, event);
});
