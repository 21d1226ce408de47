// View: where the model looks, as a map over the frame that it was made of.

let attention = null;   // as in /api/attention
let polling = false;
let attended = null;    // the picture that belongs to the map

$("attend").addEventListener("click", async () => {
  try {
    await ask("/api/attention", "POST");
    attention = { state: "working", done: 0 };
    drawAttention();
    pollAttention();
  } catch (error) {
    tell($("attention-problem"), error.message, true);
  }
});

async function pollAttention() {
  if (polling) return;
  polling = true;
  try {
    do {
      attention = await ask("/api/attention");
      await drawAttention();
      if (attention.state === "working") await pause(400);
    } while (attention.state === "working" && current === "view" && !document.hidden);
  } catch (error) {
    tell($("attention-problem"), error.message, true);
  }
  polling = false;
}

async function drawAttention() {
  const { state, done, message } = attention, working = state === "working";
  $("attend").disabled = working;
  $("attention-working").hidden = !working;
  $("attention-progress").value = done ?? 0;
  // Of a map that was made, too: what is to be known of it.
  tell($("attention-problem"), working ? "" : message ?? "", state === "failed");
  $("attention-found").hidden = state !== "done";
  if (state !== "done") return;
  const response = await fetch("/api/attention.jpg");
  if (!response.ok) return tell($("attention-problem"), "The picture of this map is not kept any more.", true);
  attended?.close();
  attended = await createImageBitmap(await response.blob());
  drawMap(resized($("attention"), attended.width, attended.height));
}

function drawMap(context) {
  const { label, score, rows, columns, drops, sees, seconds } = attention;
  const { width, height } = context.canvas, all = drops.flat();
  const strongest = Math.max(...all), most = Math.max(...all.map(Math.abs), 0.001);
  context.drawImage(attended, 0, 0);
  const cell = [sees[2] * width / columns, sees[3] * height / rows];
  drops.forEach((row, y) => row.forEach((drop, x) => {
    // Both colours differ in lightness too, for who does not tell them apart.
    context.fillStyle = `rgb(${drop > 0 ? "255 96 0" : "90 200 255"} / ${0.75 * Math.abs(drop) / most})`;
    context.fillRect(sees[0] * width + x * cell[0], sees[1] * height + y * cell[1], cell[0] + 0.5, cell[1] + 0.5);
  }));
  markView(context, sees, []);
  const at = all.indexOf(strongest), third = (i, count) => Math.min(2, Math.floor(3 * (i + 0.5) / count));
  const where = [["top", "middle", "bottom"][third(Math.floor(at / columns), rows)],
    ["left", "centre", "right"][third(at % columns, columns)]].join(" ");
  const points = Math.round(100 * strongest);
  $("attention-words").replaceChildren("For ", labelled(label), `, ${percent(score)}. ${points < 1
    ? "No single place matters: with any one of them hidden, the model says the same."
    : `What matters most lies at the ${where}: hiding it takes ${points} points off.`} `
    + `Made in ${seconds.toFixed(1)} s.`);
  say($("attention-most"), `hiding it changes the score by ${Math.max(1, Math.round(100 * most))} points`);
  $("attention").setAttribute("aria-label", `Where the model looks for ${label}`);
}
