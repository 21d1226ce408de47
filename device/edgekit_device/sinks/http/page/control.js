// Control: what the daemon can be asked to do, where that is switched on.

let control = null;     // as in /api/control; null where it is not served
let following = 0;      // timer that follows a recording

const MINUTE = 60;      // seconds of a clip that is asked for here
const CLIPS = 5;        // clips that are offered, the newest

// What interrupts is asked once more; what it does, in words.
const SURE = {
  model: (title) => [`Change the model to ${title}?`, "No frame is answered for a few seconds.", "Change"],
  rollback: () => ["Roll back?", "The version or model before this one is installed again; the daemon is away for a few seconds.", "Roll back"],
  pause: () => ["Pause?", "Nobody is watched, and nothing is kept, until somebody resumes it.", "Pause"],
};

sections.control = { title: "Control", show: loadControl };

async function loadControl() {
  control = await ask("/api/control").catch(() => null);
  drawControl();
  clearTimeout(following);
  if (control?.recording && !document.hidden) following = setTimeout(loadControl, 1000);
  else if (control?.http && current === "control") showClips();
}

function drawControl() {
  const on = Boolean(control?.http);
  $("to-control").hidden = !on;
  $("control-off").hidden = on;
  $("control-on").hidden = !on;
  if (connected) showPaused(health.state === "paused");
  if (!on) return;
  const focused = document.activeElement?.id;
  $("actions").replaceChildren(...control.actions
    .filter(({ name }) => name !== (control.paused ? "pause" : "resume")).map(makeAction));
  const current = control.models.find((one) => one.current);
  tell($("installed"), current ? `Now: ${current.name}` : "");
  if (focused) $(focused)?.focus();
  showRecording(control.recording);
}

function makeAction({ name, title, available, why_not }) {
  const words = name === "record" ? `${title} for a minute` : title;
  const button = element("button", { type: "button", id: `do-${name}` }, words);
  button.disabled = !available;
  const item = element("li", {}, button);
  if (name === "model" && available) item.prepend(makeChoice(button));
  else button.addEventListener("click", () => perform(name, name === "record" ? { seconds: MINUTE } : {}));
  if (!available && why_not) {
    const why = element("p", { class: "quiet", id: `why-${name}` }, why_not);
    button.setAttribute("aria-describedby", why.id);
    item.append(why);
  }
  return item;
}

// Which model: the installed ones, in a list of the browser's own.
function makeChoice(button) {
  const choice = element("select", { id: "models", "aria-label": "Installed models" },
    ...control.models.map((one) => element("option", { value: one.sha256 },
      `${one.name}${one.current ? " (now)" : one.previous ? " (before)" : ""}`)));
  const same = () => {
    button.disabled = !control.models.some((one) => one.sha256 === choice.value && !one.current);
  };
  choice.value = control.models.find((one) => one.current)?.sha256 ?? "";
  choice.addEventListener("change", same);
  same();
  button.addEventListener("click", () =>
    perform("model", { sha256: choice.value }, choice.selectedOptions[0].text));
  return choice;
}

async function perform(name, values = {}, title = "") {
  if (Object.hasOwn(SURE, name) && !await isSure(...SURE[name](title))) return;
  tell($("outcome"), "Working…");
  try {
    const { done, message } = await ask(`/api/control/${name}`, "POST", values);
    tell($("outcome"), sentence(message), !done);
  } catch (error) {
    tell($("outcome"), sentence(error.message), true);
  }
  await loadControl();
}

// Asks in a dialog of the page; the focus begins on what changes nothing.
function isSure(title, text, yes) {
  say($("sure-title"), title);
  say($("sure-text"), text);
  say($("sure-yes"), yes);
  $("sure").returnValue = "";
  $("sure").showModal();
  return new Promise((done) => $("sure").addEventListener("close",
    () => done($("sure").returnValue === "yes"), { once: true }));
}

// By the browser's clock, which need not be the device's: close enough for a bar.
function showRecording(recording) {
  $("recording").hidden = !recording;
  if (!recording) return;
  const left = (new Date(recording.until) - Date.now()) / 1000;
  $("recording-progress").value = clamp(1 - left / MINUTE, 0, 1);
}

// What became of the last clip, and those that can be had.
async function showClips() {
  const { clips } = await ask("/api/clips").catch(() => ({ clips: [] }));
  tell($("recorded"), control?.recorded ?? "");
  $("clips").replaceChildren(...clips.slice(0, CLIPS).map((clip) => element("li", {},
    element("a", { class: "button", href: `/api/clips/${encodeURIComponent(clip.name)}`, download: "" },
      `Clip of ${when(clip.recorded)}, ${bytes(clip.bytes)}`))));
  $("clips").hidden = !clips.length;
}

// Above everything, on every part of the page: while it is paused nobody is watched.
function showPaused(paused) {
  $("paused").hidden = !paused;
  if (!paused) return;
  say($("paused-text"), "Paused: nobody is watched.");
  $("resume").hidden = !control?.http;
}

$("resume").addEventListener("click", () => perform("resume"));
