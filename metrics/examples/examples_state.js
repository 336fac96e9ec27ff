// What is shown, as a function of the page's data and of the address' part behind #. Nothing here draws.
const PER_PAGE = 12;
const data = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("tools");
const choices = ["q", "category", "protocol", "only", "sort", "of", "minus", "first", "look"].filter((name) => form.elements[name]);
const placeOf = new Map(data.systems.map((system, place) => [system.name, place]));
const metricOf = new Map(data.metrics.map((metric, place) => [metric.name, place]));

/** The state that an address says: a value for every choice, systems that are not shown, page, element to go to. */
function stateOf(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  for (const name of choices) {
    const field = form.elements[name];
    field.value = said.get(name) ?? usual(field);
    if (field.selectedIndex === -1) field.selectedIndex = 0; // a value that this page does not have
  }
  const without = new Set((said.get("without") ?? "").split(","));
  for (const box of boxes()) box.checked = !without.has(box.value);
  return { ...stateOfForm(), page: Math.max(1, Number.parseInt(said.get("page"), 10) || 1), at: said.get("at") ?? "" };
}

/** The state that the form says, at its first page. */
function stateOfForm() {
  const state = Object.fromEntries(choices.map((name) => [name, form.elements[name].value]));
  return { ...state, without: boxes().filter((box) => !box.checked).map((box) => box.value), page: 1, at: "" };
}

function boxes() {
  return [...form.querySelectorAll("input[name=system]")];
}

/** The address of a state: only what is not as at first. */
function hashOf(state) {
  const said = new URLSearchParams();
  for (const name of choices) if (state[name] !== usual(form.elements[name])) said.set(name, state[name]);
  if (state.without.length) said.set("without", state.without.join(","));
  if (state.page > 1) said.set("page", state.page);
  if (state.at) said.set("at", state.at);
  return `#${said}`;
}

function usual(field) {
  return field.options ? field.options[0].value : field.defaultValue;
}

/** Places of the prompts of a state, in order. */
function chosen(state) {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const places = data.rows.map((row, place) => place).filter((place) => fits(data.rows[place], state, words));
  if (!state.sort) return places;
  const values = new Map(places.map((place) => [place, sortedBy(data.rows[place], state)]));
  const sign = state.first === "highest" ? -1 : 1;
  return places.sort((a, b) => {
    const [x, y] = [values.get(a), values.get(b)];
    if (x === null || y === null) return (x === null) - (y === null) || a - b; // what has no value is last
    return sign * (x - y) || a - b;
  });
}

function fits(row, state, words) {
  const text = `${row.clip} ${row.label} ${row.caption} ${row.ownCaption}`.toLowerCase();
  const cells = row.cells.filter((cell, place) => !state.without.includes(data.systems[place].name));
  const lacks = (cell) => Boolean(cell.lost || cell.notJudged);
  const worst = (cell) => (cell.failures ?? []).length > (lacks(cell) ? 1 : 0);
  const only = { "": () => true, lost: lacks, worst, failures: (cell) => lacks(cell) || worst(cell) }[state.only];
  return words.every((word) => text.includes(word))
    && (!state.category || row.label === state.category)
    && (!state.protocol || row.protocol === state.protocol)
    && (state.only === "" || cells.some(only));
}

/** The score, or the difference of two systems' scores, that a prompt is sorted by; null where one is missing. */
function sortedBy(row, state) {
  const of = (system) => row.cells[placeOf.get(system)].scores?.[metricOf.get(state.sort)] ?? null;
  const value = of(state.of);
  if (!state.minus || value === null) return value;
  const other = of(state.minus);
  return other === null ? null : value - other;
}

/** A score as tables print it; never a negative zero. */
function printed(value, metric) {
  const text = value.toFixed(metric.decimals);
  return Number(text) === 0 ? text.replace("-", "") : text;
}
