// Live: the confidence of the last minutes, as a chart.

const SPAN = 300;      // seconds of confidence that are shown

// Stretches of one label without a gap.
function runs() {
  const found = [];
  for (const point of points) {
    const run = found.at(-1), last = run?.at(-1);
    const gap = last && point[0] - last[0] > OLD;
    if (last && last[1] === point[1] && !gap) run.push(point);
    else {
      // The line goes on to where the next label begins.
      if (last && !gap) run.push([point[0], last[1], last[2]]);
      found.push([point]);
    }
  }
  return found;
}

function showChart() {
  const svg = $("chart"), width = svg.clientWidth, height = svg.clientHeight;
  if (!answer || !width) return;
  const now = deviceNow(), left = 42, right = width - 8, top = 8, bottom = height - 52;
  const x = (time) => right - (now - time) / SPAN * (right - left);
  const y = (score) => bottom - score * (bottom - top);
  const drawn = [];
  for (const score of [0, 0.5, 1]) {
    drawn.push(
      element("line", { class: "grid", x1: left, x2: right, y1: y(score), y2: y(score) }),
      element("text", { x: left - 8, y: y(score) + 4, "text-anchor": "end" }, percent(score)));
  }
  for (let minutes = 0; minutes <= SPAN / 60; minutes++) {
    const at = x(now - 60 * minutes);
    drawn.push(element("text",
      { x: at, y: height - 4, "text-anchor": minutes ? "middle" : "end" },
      minutes ? `−${minutes} min` : "now"));
  }
  for (const run of runs()) {
    const line = run.map((p) => `${x(p[0]).toFixed(1)},${y(p[2]).toFixed(1)}`).join("L");
    const from = Math.max(left, x(run[0][0])), to = x(run.at(-1)[0]);
    if (to < left) continue;
    const group = element("g", { class: `run ${colour(run[0][1])}` },
      element("path", { class: "area", d: `M${from},${bottom}L${line}L${to},${bottom}Z` }),
      element("path", { class: "line", d: `M${line}` }),
      element("rect", { class: "band", x: from, y: bottom + 9, width: Math.max(1, to - from - 1),
        height: 20, rx: 3 }));
    const room = Math.floor((to - from - 12) / 8);
    if (room >= 3) {
      const text = run[0][1].length > room ? `${run[0][1].slice(0, room - 1)}…` : run[0][1];
      group.append(element("text", { x: from + 6, y: bottom + 23 }, text));
    }
    drawn.push(group);
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(...drawn);
  const last = points.at(-1);
  say($("chart-text"), last ? `At the end ${last[1]}, ${percent(last[2])}` : "Nothing yet");
}

