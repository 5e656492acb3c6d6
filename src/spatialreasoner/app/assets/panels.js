// What is beside the image: regions with their sizes, pairs, and the history. All text is set as text.

const SIZES = { width: "width", height: "height", depth: "depth", camera_distance: "from camera" };
const PAIRS = { distance: "distance", horizontal_distance: "sideways", vertical_distance: "up or down", direction: "direction" };

export const make = (name, attributes = {}, ...inner) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...inner.filter((part) => part !== null && part !== false));
  return made;
};

export const chip = (number) => make("span", { class: `sr-chip sr-c${(number - 1) % 8}` }, `${number}`);

const head = (first, names, last = []) =>
  make("thead", {}, make("tr", {}, ...[first, ...Object.values(names), ...last].map((name) => make("th", { scope: "col" }, name))));

// A value and its error are two lines where a table is narrow, and never parted elsewhere
const value = (cell) => {
  if (!cell) return make("td", {}, "…");
  if (cell.told === "-") return make("td", { class: "sr-soft" }, "–");
  const [told, error] = cell.told.split(" ± ");
  return make("td", {}, make("span", {}, told), ...(error ? [" ", make("span", {}, `± ${error}`)] : []));
};

// `tell` has: wish(action), select(number)
export const measurePanel = (panel, state, measured, selected, tell) => {
  const cells = new Map((measured?.cells ?? []).map((cell) => [`${cell.quantity} ${cell.regions}`, cell]));
  const stale = measured && measured.key !== state.key;
  panel.replaceChildren(...[
    regionTable(state, cells, selected, tell),
    pairTable(state, cells, measured),
    measured ? notes(measured) : null,
    state.regions.length ? make("button", { id: "sr-copy", type: "button", onclick: () => tell.copy(asText(panel)) }, "Copy the tables") : null,
  ].filter(Boolean));
  panel.classList.toggle("sr-stale", Boolean(stale));
  panel.setAttribute("aria-busy", String(!measured || stale));
};

const regionTable = (state, cells, selected, tell) => {
  if (!state.regions.length) return make("p", { class: "sr-empty" }, "Draw or click a thing in the image: its size appears here.");
  const rows = state.regions.map(({ number, name, source }) => make("tr", { class: number === selected ? "sr-chosen" : null },
    make("td", {}, make("div", { class: "sr-named" },
      make("button", { class: "sr-pick", "aria-label": `select region ${number}`, onclick: () => tell.select(number) }, chip(number)),
      make("input", { value: name, maxlength: 60, "aria-label": `name of region ${number}`, onchange: (event) => tell.wish({ action: "rename", number, text: event.target.value }) }),
      make("button", { class: "sr-remove", "aria-label": `remove region ${number}`, onclick: () => tell.wish({ action: "remove", number }) }, "×")),
      source ? make("small", { class: "sr-soft" }, source) : null),
    ...Object.keys(SIZES).map((quantity) => value(cells.get(`${quantity} ${number}`)))));
  const table = make("table", { id: "sr-sizes" }, make("caption", {}, "Sizes"), head("region", SIZES), make("tbody", {}, ...rows));
  return make("div", { class: "sr-scroll", role: "region", tabindex: "0", "aria-label": "sizes" }, table);
};

const pairTable = (state, cells, measured) => {
  const words = new Map((measured?.relations ?? []).map((pair) => [`${pair.regions}`, pair.words]));
  const rows = [];
  for (let a = 1; a <= state.regions.length; a++) {
    for (let b = a + 1; b <= state.regions.length; b++) {
      rows.push(make("tr", {}, make("th", { scope: "row" }, chip(a), " to ", chip(b)),
        ...Object.keys(PAIRS).map((quantity) => value(cells.get(`${quantity} ${a},${b}`)))));
      const said = words.get(`${a},${b}`);
      if (said?.length) rows.push(make("tr", { class: "sr-words" }, make("td", { colspan: 5 }, chip(a), ` is ${said.join(", ")} `, chip(b))));
    }
  }
  if (!rows.length) return null;
  const table = make("table", { id: "sr-pairs" }, make("caption", {}, "Pairs"), head("from, to", PAIRS), make("tbody", {}, ...rows));
  return make("div", { class: "sr-scroll", role: "region", tabindex: "0", "aria-label": "pairs" }, table);
};

// What is not known of the scene, and why values are missing: each reason once, with the regions and quantities that it is about
const notes = ({ notes: known, cells }) => {
  const [missing, numbers] = [new Map(), new Map()];
  const split = (reason) => reason.match(/^(?:(drawn\d+): )?(.*)$/s).slice(1); // a reason of a pair names the one region that it is about
  const lacking = cells.filter((cell) => cell.reason);
  for (const { regions, reason } of lacking.filter((cell) => cell.regions.length === 1)) numbers.set(split(reason)[0], regions);
  for (const { quantity, regions, reason } of lacking) {
    const [own, why] = split(reason);
    const about = (own && numbers.get(own)) ?? regions;
    const key = `${about}: ${why}`;
    if (!missing.has(key)) missing.set(key, { about, why, names: new Set() });
    missing.get(key).names.add({ ...SIZES, ...PAIRS }[quantity] ?? quantity);
  }
  if (!known.length && !missing.size) return null;
  return make("ul", { class: "sr-notes" },
    ...known.map((note) => make("li", {}, `Note: ${note}`)),
    ...[...missing.values()].map(({ about, why, names }) => make("li", {},
      ...about.flatMap((number, place) => (place ? [" and ", chip(number)] : [chip(number)])),
      names.size < Object.keys(SIZES).length ? ` ${[...names].join(", ")}: ${why}` : `: ${why}`)));
};

const asText = (panel) => [...panel.querySelectorAll("tr")].map((row) =>
  [...row.children].map((cell) => [...cell.querySelectorAll("input")].reduce((text, input) => `${text} ${input.value}`, cell.textContent.replace(/[×…]/g, "").trim())).join("\t")).join("\n");

export const historyPanel = (panel, state, tell) => {
  const steps = state.history.map((said, to) => make("li", {},
    make("button", { "aria-current": to === state.at ? "step" : null, onclick: () => tell.jump(to) }, said)));
  const answers = state.answers.map(({ question, html, key }) => {
    const body = make("div", { class: "sr-answers" });
    body.innerHTML = html; // the server's own, in which all that a model wrote is escaped
    const old = key === state.key ? null : make("p", { class: "sr-soft" }, "about another image or other regions");
    return make("details", { class: old ? "sr-stale" : null }, make("summary", {}, question), old, body);
  });
  panel.replaceChildren(
    make("h2", {}, "Steps"), make("ol", { class: "sr-steps" }, ...steps),
    make("h2", {}, "Answers"), ...(answers.length ? answers : [make("p", { class: "sr-soft" }, "Nothing was asked yet.")]),
  );
  latest(panel);
};

// The current step in view; while the panel is hidden nothing can be scrolled
export const latest = (panel) => panel.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });

export const tabs = (list, show) => {
  const all = () => [...list.querySelectorAll("[role=tab]:not([hidden])")];
  const choose = (tab) => {
    for (const each of all()) {
      each.setAttribute("aria-selected", String(each === tab));
      each.tabIndex = each === tab ? 0 : -1;
    }
    show(tab);
  };
  list.addEventListener("click", (event) => event.target.closest("[role=tab]") && choose(event.target.closest("[role=tab]")));
  list.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by || event.target.getAttribute("role") !== "tab") return;
    const next = all().at((all().indexOf(event.target) + by) % all().length);
    next.focus();
    choose(next);
  });
  for (const tab of all()) tab.tabIndex = tab.getAttribute("aria-selected") === "true" ? 0 : -1;
  return choose;
};

