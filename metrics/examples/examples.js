// Draws the prompts of a state, some at a time; media are looked up when they come near the screen.
const list = document.getElementById("prompts");
const pager = document.getElementById("pages");
const SVG = "http://www.w3.org/2000/svg";
const TYPES = { mp4: "video/mp4", jpg: "image/jpeg", png: "image/png" };
let state;

/** An element with properties and children; texts become text, never HTML. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && name !== "role") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Address of a file: inside the page, once that far of it is here, or beside it. */
async function addressOf(name) {
  if (data.folder) return data.folder + name;
  if (!document.getElementById(name) && document.readyState === "loading")
    await new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
  return `data:${TYPES[name.split(".").pop()]};base64,${document.getElementById(name).textContent}`;
}

const near = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    for (const one of target.querySelectorAll("[data-video]")) {
      addressOf(one.dataset.still).then((address) => { one.poster = address; });
      addressOf(one.dataset.video).then((address) => { one.src = address; });
    }
    for (const one of target.querySelectorAll("[data-image]"))
      addressOf(one.dataset.image).then((address) => { one.src = address; });
  }
}, { rootMargin: "600px" });

/** Outline of an envelope (base64, a byte for each part), two units high. */
function outline(envelope, name) {
  const heights = [...atob(envelope)].map((sign) => (0.96 * sign.charCodeAt(0)) / 255);
  const upper = heights.map((height, place) => `${place + 0.5} ${(1 - height).toFixed(3)}`);
  const lower = heights.map((height, place) => `${place + 0.5} ${(1 + height).toFixed(3)}`).reverse();
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", `M${[...upper, ...lower].join("L")}Z`);
  if (name) path.setAttribute("class", name);
  return { path, parts: heights.length };
}

/** The line of time below a video: waveform or spectrogram, events, and where the player is. */
function timeLine(sound, row, video, name) {
  const svg = document.createElementNS(SVG, "svg");
  const [behind, wave] = [outline(row.own.peaks, "behind"), outline(sound.peaks)];
  svg.setAttribute("viewBox", `0 0 ${wave.parts} 2`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(...(sound === row.own ? [wave.path] : [behind.path, wave.path]));
  const share = (time) => `${(100 * time) / row.seconds}%`;
  const events = row.events.map((time) => make("i", { className: "event", title: `seen at ${time.toFixed(2)} s`, style: `left:${share(time)}` }));
  const at = make("i", { className: "at" });
  const line = make("div", { className: "line", role: "slider", tabIndex: 0, ariaLabel: `time of ${name}`, ariaValueMin: "0", ariaValueMax: String(row.seconds) },
    svg, make("img", { alt: "", "data-image": sound.spectrogram }), ...events, at);
  const axis = make("div", { className: "axis", ariaHidden: "true" }, make("span", {}, "0"), ...ticks(row.seconds).map((time) => make("span", { style: `left:${share(time)}` }, String(time))),
    make("span", { className: "end" }, `${Number(row.seconds.toFixed(2))} s`), ...row.events.map((time) => make("i", { style: `left:${share(time)}` })));
  const show = () => {
    const now = video.currentTime;
    at.style.left = share(Math.min(now, row.seconds));
    line.ariaValueNow = now.toFixed(2);
    line.ariaValueText = `${now.toFixed(2)} s`;
    events.forEach((event, place) => event.classList.toggle("now", now > 0 && Math.abs(now - row.events[place]) < 0.1));
    if (!video.paused && !video.ended) requestAnimationFrame(show);
  };
  const go = (time) => {
    const to = Math.min(row.seconds, Math.max(0, time));
    if (video.readyState) video.currentTime = to;
    else {
      video.addEventListener("loadedmetadata", () => { video.currentTime = to; }, { once: true });
      video.preload = "metadata";
    }
  };
  for (const change of ["play", "seeked", "pause", "ended", "loadedmetadata"]) video.addEventListener(change, show);
  line.addEventListener("click", (event) => {
    const box = line.getBoundingClientRect();
    go((row.seconds * (event.clientX - box.left)) / box.width);
  });
  line.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: video.currentTime - 0.2, ArrowRight: video.currentTime + 0.2, Home: 0, End: row.seconds }[event.key];
    const plays = event.key === "Enter" || event.key === " ";
    if (to === undefined && !plays) return;
    event.preventDefault();
    if (!plays) go(to);
    else if (video.paused) video.play();
    else video.pause();
  });
  show();
  return [line, axis];
}

/** Seconds that the axis names: whole ones, not too many, none close to its ends. */
function ticks(seconds) {
  const step = [1, 2, 5, 10, 30, 60].find((one) => seconds / one <= 6) ?? 300;
  return [...Array(Math.floor(seconds / step) + 1).keys()].map((n) => n * step).filter((time) => time > 0 && time < 0.88 * seconds);
}

/** A video with a sound, and what is seen of it. */
function player(sound, row, name) {
  const video = make("video", { controls: true, preload: "none", playsInline: true, ariaLabel: name, "data-video": sound.video, "data-still": row.still, style: `aspect-ratio:${row.size[0]}/${row.size[1]}` });
  return [video, ...timeLine(sound, row, video, name)];
}

function scoresOf(cell, row) {
  if (!data.metrics.length) return null;
  const boxes = data.metrics.map((metric, place) => {
    const value = cell.scores[place];
    const unit = metric.unit ? ` ${metric.unit}` : "";
    const missing = cell.notJudged ? `not judged: ${cell.notJudged.reason}`
      : metric.otherCaptionsOnly && row.caption === row.ownCaption ? "not defined for the clip's own caption" : "the scores have no value of this sound";
    const said = value === null ? make("span", { className: "none" }, "missing") : make("span", {}, printed(value, metric) + unit);
    const about = `${metric.meaning}${metric.unit ? ` (${metric.unit})` : ""}`;
    return make("div", { className: state.sort === metric.name ? "sorted" : "", title: value === null ? `${missing}. ${about}` : about }, make("span", {}, `${metric.name} ${metric.arrow}`), said);
  });
  return make("div", { className: "scores" }, ...boxes);
}

/** Links from a cell to its rows in the list of failures. */
function failuresOf(cell) {
  const rows = (cell.failures ?? []).map((number) => document.getElementById(`failed-${number}`));
  return rows.map((row) => {
    const [reason, detail] = [row.cells[row.cells.length - 2], row.cells[row.cells.length - 1]].map((one) => one.textContent);
    return make("div", { className: "why" }, make("a", { href: hashOf({ ...state, at: row.id }) }, `${reason}${detail ? `: ${detail}` : ""} ↓`));
  });
}

function cellOf(cell, row, id, system) {
  const heading = make("figcaption", { className: "name", title: system.description }, system.name, system.control ? make("small", {}, "control") : null);
  const figure = make("figure", { id, tabIndex: -1 }, heading);
  if (cell.failures || cell.lost) figure.classList.add("failed");
  if (cell.lost) {
    figure.append(make("div", { className: "why" }, make("strong", {}, "no sound"), data.metrics.length ? "; all scores are missing" : "",
      make("div", { className: "soft" }, `${cell.lost.reason}: ${cell.lost.meaning}`)));
  } else {
    figure.append(...player(cell, row, system.name));
    const scores = scoresOf(cell, row);
    if (scores) figure.append(scores);
  }
  figure.append(...failuresOf(cell));
  return figure;
}

function promptOf(place) {
  const row = data.rows[place];
  const own = make("figure", { className: "own" }, make("figcaption", { className: "name" }, "the clip's own sound"), ...player(row.own, row, "the clip's own sound"));
  const cells = row.cells.map((cell, number) => cellOf(cell, row, `cell-${place}-${number}`, data.systems[number]))
    .filter((cell, number) => !state.without.includes(data.systems[number].name));
  const asked = row.caption === row.ownCaption ? "its own caption " : `own caption “${row.ownCaption}”, asked for `;
  const value = state.sort ? sortedBy(row, state) : null;
  const difference = value === null || !state.minus ? "" : ` · ${state.sort} of ${state.of} minus ${state.minus}: ${printed(value, data.metrics[metricOf.get(state.sort)])}`;
  return make("section", { className: "prompt" },
    make("h3", {}, row.label, " ", make("small", {}, row.clip)),
    make("p", { className: "soft" }, asked, make("span", { className: "tag" }, row.caption), ` · protocol ${row.protocol}${difference}`),
    make("div", { className: "cards", style: `--cards:${cells.length + 1}` }, own, ...cells));
}

/** Draw what the state says; then go to the element that it names. */
function draw() {
  const places = chosen(state);
  const pages = Math.max(1, Math.ceil(places.length / PER_PAGE));
  const cell = /^cell-(\d+)-\d+$/.exec(state.at);
  if (cell && places.includes(Number(cell[1]))) state.page = Math.floor(places.indexOf(Number(cell[1])) / PER_PAGE) + 1;
  state.page = Math.min(state.page, pages);
  near.disconnect();
  list.replaceChildren(...places.slice((state.page - 1) * PER_PAGE, state.page * PER_PAGE).map(promptOf));
  list.querySelectorAll("figure").forEach((figure) => near.observe(figure));
  document.body.classList.toggle("spectrograms", state.look === "spectrograms");
  for (const name of ["of", "minus", "first"]) if (form.elements[name]) form.elements[name].disabled = !state.sort;
  document.getElementById("count").textContent = `${places.length} of ${data.rows.length} prompts${pages > 1 ? `, page ${state.page} of ${pages}` : ""}`;
  pager.hidden = pages === 1;
  pager.querySelector("span").textContent = `page ${state.page} of ${pages}`;
  pager.querySelector("[name=before]").disabled = state.page === 1;
  pager.querySelector("[name=next]").disabled = state.page === pages;
  goTo(state.at);
}

/** Show and focus a cell, a row of the list of failures, or that list. */
function goTo(id) {
  const target = id && document.getElementById(id);
  if (!target) return;
  const folded = target.closest("details") ?? (id === "failures" ? document.getElementById("failed") : null);
  if (folded) folded.open = true;
  target.scrollIntoView({ block: "start" });
  target.focus({ preventScroll: true });
}

/** Draw a state that the form or the pager says, and keep it in the address without another entry of the history. */
function become(next) {
  state = next;
  draw();
  location.replace(hashOf(state));
}

form.addEventListener("input", () => become(stateOfForm()));
form.addEventListener("submit", (event) => event.preventDefault());
form.elements.all.addEventListener("click", () => become(stateOf("")));
pager.addEventListener("click", (event) => {
  const step = { before: -1, next: 1 }[event.target.name];
  if (!step) return;
  become({ ...state, page: state.page + step, at: "" });
  list.scrollIntoView({ block: "start" });
});
addEventListener("hashchange", () => {
  const next = stateOf(location.hash);
  if (hashOf(next) === hashOf(state)) return;
  state = next;
  draw();
});
document.addEventListener("click", (event) => { // the address is there already: no change of it will come
  const link = event.target.closest("a[href^='#']");
  if (link && link.hash === location.hash) goTo(state.at);
});
if (matchMedia("(max-width: 560px)").matches) document.querySelector("details.systems").open = false;
state = stateOf(location.hash);
draw();
