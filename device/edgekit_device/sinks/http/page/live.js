// Live: the label now, how the daemon is, and the last changes.

const OLD = 3;         // seconds after which a picture counts as old

let health = null;   // as in /api/health
let decision = null; // as in /api/decision
let answer = null;   // the newest frame's, without its picture
let points = [];     // [seconds on the device's clock, label, score]
let changes = [];    // events, newest first
let connected = false;
let broken = false;  // whether the connection was lost, or could not be made
let heard = 0;       // when the server last said something
let refusal = "";    // why there is no live picture
let pictured = false;

// Seconds on the device's clock, now.
const deviceNow = () => answer.now + (performance.now() - heard) / 1000;
const frameAge = () => answer.age_s + (performance.now() - heard) / 1000;

sections.live = {
  title: "Live",
  show() {
    showChart();
    if (heard) showEvent(changes);
  },
};

function showTitle() {
  const label = answer?.label;
  const first = current === "live" ? label : sections[current].title;
  document.title = first ? `${first} · ${name}` : name;
}

function showState() {
  const state = connected ? health.state : broken ? "disconnected" : "connecting";
  $("state").dataset.state = state;
  say($("state"), sentence(state));
  const why = health && health.problems.length ? health.problems.join("; ") : "";
  let notice = "";
  if (state === "disconnected") {
    const at = clock(Date.now() - performance.now() + heard);
    notice = heard ? `Disconnected: this is how things were at ${at}. Trying again…`
      : "The device does not answer. Trying again…";
  } else if (state === "stalled") notice = `Stalled: ${why || "no frame is answered"}.`;
  else if (state === "degraded") notice = `Degraded: ${why}.`;
  else if (state === "starting") notice = why ? `Starting: ${why}.` : "Starting…";
  else if (state === "stopping") notice = "The daemon is being stopped.";
  tell($("notice"), notice, ["stalled", "disconnected"].includes(state));
  showPaused(state === "paused");
}

function showDrift() {
  const drift = health.drift;
  $("drift").hidden = !drift;
  if (!drift) return;
  const [what, advice] = $("drift").children;
  say(what, `What the model sees has changed since ${when(drift.since)}: `
    + `${drift.signs.map((sign) => sign.text).join(", ")}.`);
  say(advice, `${sentence(drift.advice)}.`);
}

function showVeil() {
  const seen = answer?.frame !== undefined;
  const old = seen && (frameAge() > OLD || health.state === "stalled");
  let text = broken ? "Disconnected" : refusal;
  if (!text && connected && health.state === "paused") text = "Paused";
  if (!pictured) text ||= "Waiting for the first picture";
  else if (old) text = `${text && `${text} · `}Picture is ${duration(frameAge())} old`;
  $("label").parentElement.toggleAttribute("data-old", broken || old);
  $("veil").hidden = !text;
  $("veil").parentElement.toggleAttribute("data-stale", Boolean(text));
  say($("veil"), text);
}

// While it is paused the device has nothing left of what was seen last; nor has the page.
function forget() {
  pictured = false;
  for (const id of ["picture", "draft", "preview"]) {
    const canvas = $(id);
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  }
  bitmap?.close();
  bitmap = null;
  say($("label"), "–");
  say($("score"), "");
  $("top").replaceChildren();
  showTitle();
}

function showAnswer() {
  if (answer?.frame === undefined) return;
  const { label, score } = answer;
  say($("label"), label);
  $("label").toggleAttribute("data-unknown", label === "unknown");
  showTitle();
  let since = points.length;
  while (since > 0 && points[since - 1][1] === label) since -= 1;
  const held = since < points.length ? deviceNow() - points[since][0] : 0;
  $("score").replaceChildren(label === "unknown" ? "best class " : "",
    element("b", {}, percent(score)), ` · for ${duration(held)}`);
  const rows = $("top").children;
  answer.labels.forEach((one, i) => {
    const row = rows[i] ?? $("top").appendChild(element("li", {},
      labelled(""), element("span", { class: "percent" }),
      element("span", { class: "bar", "aria-hidden": "true" }, element("i"))));
    say(row.children[0], one.label);
    row.children[0].title = one.label;
    say(row.children[1], percent(one.score));
    const bar = row.children[2].firstChild;
    bar.className = one.label === label ? `of ${colour(label)}` : "";
    bar.style.width = `${100 * one.score}%`;
  });
  while (rows.length > answer.labels.length) rows[rows.length - 1].remove();
}

function showChanges() {
  $("no-changes").hidden = changes.length > 0;
  showRows($("changes"), changes.slice(0, 20), (event) => openEvent(changes, event));
}
