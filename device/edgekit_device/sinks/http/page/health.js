// Live: how the daemon is, and the settings of its decisions.

const OWN = 20;  // labels whose settings are shown

function showHealth() {
  const h = health, ms = h.latency_ms, one = (value, unit) => `${value.toFixed(1)} ${unit}`;
  $("what").textContent = [h.model, h.accelerator, h.source].filter(Boolean).join(" · ") || " ";
  const restarts = Object.entries(h.restarts).map(([part, n]) => `${part} ${n}`).join(", ");
  const throttled = (h.throttled ?? []).join(", ");
  const rows = [
    ["Rate", one(h.fps, "frames/s")],
    ["Latency", ms ? one(ms.p50, "ms") : "–"],
    ["90 % · 99 % within", ms ? `${ms.p90.toFixed(1)} · ${one(ms.p99, "ms")}` : "–"],
    ["Frames", whole(h.frames)],
    ["Dropped frames", whole(h.dropped)],
    ["Events", whole(h.events)],
    ["Uptime", duration(h.uptime_s)],
    ["Memory", `${Math.round(h.memory_bytes / 1e6)} MB`],
    ["Temperature", h.temperature_c === undefined ? "–" : one(h.temperature_c, "°C")],
    ["Throttled", throttled || "no", throttled && "bad"],
    ["Restarts", restarts || "none"],
    ["Accelerator", h.accelerator || "–"],
    ["Runtime", h.runtime || "–"],
    ["Version", h.version],
    ["Model", h.model ? `${h.model}, SHA-256 ${h.model_sha256.slice(0, 12)}…` : "–", "wide"],
    ["Signed by", h.model_signer || "–", "wide"],
    ["Decision", decision ? inForce(decision, h.decision_from) : "–", "wide"],
  ];
  $("health").replaceChildren(...rows.map(([term, value, kind]) => element("div",
    kind === "wide" ? { class: "wide" } : {},
    element("dt", {}, term), element("dd", kind === "bad" ? { class: "bad" } : {}, value))));
  $("sinks").replaceChildren(...Object.entries(h.sinks).flatMap(([sink, s]) => {
    const title = element("th", { scope: "row" }, sink);
    const row = element("tr", {}, title, element("td", {}, whole(s.sent)),
      element("td", s.dropped ? { class: "bad" } : {}, whole(s.dropped)),
      element("td", {}, whole(s.queued)));
    const problem = element("td", { class: "problem", colspan: 4 }, s.problem ?? "");
    return s.problem ? [row, element("tr", {}, problem)] : [row];
  }));
}

function inForce(settings, source) {
  const { smoothing, enter, leave, hold, heartbeat } = settings;
  return `smoothing ${smoothing}, enter ${enter}, leave ${leave}, hold ${hold} s, `
    + `heartbeat ${heartbeat} s${source ? `, from ${source}` : ""}`;
}

// Labels with settings of their own; of many, the first.
function showDecision() {
  const own = Object.entries(decision?.labels ?? {}), [table] = $("own").children;
  const cells = (one) => one.ignore ? [element("td", { colspan: 3 }, "ignored")]
    : [one.enter, one.leave, `${one.hold} s`].map((value) => element("td", {}, String(value)));
  const rows = own.slice(0, OWN).map(([label, one]) => element("tr", {},
    element("th", { scope: "row" }, label), ...cells(one)));
  const more = element("tr", {}, element("td", { class: "quiet", colspan: 4 },
    `and ${whole(own.length - OWN)} more: /api/decision`));
  table.tBodies[0].replaceChildren(...rows, ...(own.length > OWN ? [more] : []));
  $("own").hidden = !own.length;
}

