// Sets everything going, and shows the part of the page that the address names.

// `entered`: as if it was not shown before; what it shows is asked for afresh.
function go(entered) {
  const { section, query } = address(), before = current;
  current = section;
  for (const one of Object.keys(sections)) {
    $(`at-${one}`).hidden = one !== section;
    const link = document.querySelector(`nav a[href="#${one}"]`);
    if (one === section) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  showTitle();
  unwatch();
  if (section !== before && heard) {
    if ($("event").open) $("event").close();
    // A screen reader goes on at what is new; the page itself stays at its top.
    $(`title-${section}`).focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  sections[section].show(query, entered || section !== before);
}

addEventListener("hashchange", () => go(false));

setInterval(() => {
  if (document.hidden) return;
  const now = performance.now();
  if (!retry && now - (connected ? heard : tried) > SILENCE) lost();
  // Frames come, but not their pictures: that connection is dead.
  const fresh = connected && !refusal && answer?.frame !== undefined && frameAge() < OLD;
  if (isWatched() && fresh && now - awaited > SILENCE) picture.abort();
  showVeil();
  showChart();
}, 500);

// Masks may be others after the configuration was loaded again.
setInterval(() => {
  if (!document.hidden && connected) loadView();
}, 30_000);

// A hidden page costs the device nothing.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(retry);
    events.close();
    picture?.abort();
    connected = false;
  } else listen();
});
addEventListener("resize", () => {
  showChart();
  if (current === "history" && day) drawHistory();
});
go(false);
listen();
watch();
