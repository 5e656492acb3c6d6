// The page: what happens when, and what is shown then. Each change is made by the server, which answers with the whole state.
import { begin, blob, bytes, get, post } from "./api.js";
import { Asking } from "./ask.js";
import { Board, TOOLS } from "./board.js";
import { exporting, opening } from "./opening.js";
import { historyPanel, latest, make, measurePanel, tabs } from "./panels.js";
import { Space } from "./space.js";

const $ = (selector) => document.querySelector(selector);
let [state, measured, depth, view] = [null, null, null, "image"];
let [board, space, asking] = [];
let shown = {}; // what the images on the page are of, so that nothing is fetched twice

const refused = (text) => {
  $("#sr-message").textContent = text;
  $("#sr-message").className = "sr-error";
  $("#sr-message").hidden = !text;
};

const busy = async (said, work) => {
  refused("");
  $("#sr-name").textContent = said;
  document.body.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    refused(error.message);
  } finally {
    document.body.removeAttribute("aria-busy");
    $("#sr-name").textContent = state?.image?.name ?? "";
  }
};

const copy = async (text, field) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = field ?? document.body.appendChild(make("textarea", {}, text));
    area.select();
    document.execCommand("copy");
    if (!field) area.remove();
  }
  $("#sr-cursor").textContent = "copied";
};

const change = (path, sent) => busy(state?.image?.name ?? "", async () => show(await post(path, sent)));
const wish = (sent) => change("/api/edit", sent);

// One ruler, whether its ends were picked in the image or in space: its line is drawn in both
const ruler = (ends) => busy(state.image.name, async () => {
  const { told, points } = await post("/api/ruler", { ends });
  $("#sr-ruler").textContent = `Ruler: ${told}`;
  space.measured(points);
  board.ruled(ends);
});
const unruled = () => {
  $("#sr-ruler").textContent = "";
  space.measured(null);
};

// Depth at a place: of sparse depth the nearest point that was measured
const depthAt = ([x, y]) => {
  const [u, v] = [Math.floor((x / state.image.width) * depth.width), Math.floor((y / state.image.height) * depth.height)];
  for (let reach = 0; reach < 4; reach++) {
    for (let row = Math.max(0, v - reach); row <= Math.min(depth.height - 1, v + reach); row++) {
      for (let column = Math.max(0, u - reach); column <= Math.min(depth.width - 1, u + reach); column++) {
        const found = depth.values[row * depth.width + column];
        if (!Number.isNaN(found)) return [found, reach > 0];
      }
    }
  }
  return null;
};

const hover = (place) => {
  if (!place || !state.image) return;
  const at = `${Math.floor(place[0])}, ${Math.floor(place[1])}`;
  const found = depth && depthAt(place);
  const unit = state.image.metric ? " m" : "";
  const told = !state.image.depth ? "" : found ? `: depth ${found[0].toFixed(2)}${unit}${found[1] ? " (nearest measured point)" : ""}` : ": no depth measured";
  $("#sr-cursor").textContent = at + told;
};

const tools = () => {
  const chosen = (tool) => {
    board.choose(tool);
    for (const button of $("#sr-tools").querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    $("#sr-hint").textContent = TOOLS[tool][2];
    $("#sr-width").hidden = !["brush", "erase"].includes(tool);
    $("#sr-cut").hidden = tool !== "box" || !state?.image?.depth;
  };
  const buttons = Object.entries(TOOLS).map(([tool, [name, key]]) =>
    make("button", { "data-tool": tool, title: `${name} (${key})`, "aria-keyshortcuts": key, onclick: () => chosen(tool) }, name));
  const width = make("input", { type: "range", min: 2, max: 200, value: 24, oninput: (event) => { board.width = Number(event.target.value); } });
  const cut = make("input", { type: "checkbox", checked: true, onchange: (event) => { board.cut = event.target.checked; } });
  $("#sr-tools").replaceChildren(...buttons);
  $("#sr-how").append(make("label", { id: "sr-width" }, "width ", width), make("label", { id: "sr-cut" }, cut, " cut the thing out of the box"));
  return { chosen, width };
};

const shortcuts = ({ chosen, width }) => document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select, dialog")) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    const by = key === "y" || (key === "z" && event.shiftKey) ? 1 : key === "z" ? -1 : 0;
    if (!by) return;
    event.preventDefault();
    return change("/api/step", { by });
  }
  const tool = Object.keys(TOOLS).find((name) => TOOLS[name][1].toLowerCase() === key);
  if (tool && !event.altKey) chosen(tool);
  else if (key === "escape") state?.draft && !board.points.length ? wish({ action: "drop" }) : board.forget();
  else if (key === "enter" && state?.draft && !event.target.closest("button, summary, a") && !board.points.length) wish({ action: "use" });
  else if (key === "delete" && board.selected) wish({ action: "remove", number: board.selected });
  else if (key === "[" || key === "]") board.width = width.value = Math.max(2, Math.min(200, board.width * (key === "]" ? 1.25 : 0.8)));
  else if ("+=-0".includes(key)) key === "0" ? zoom("fit") : zoom(key === "-" ? "out" : "in");
});

const zoom = (how) => {
  if (view === "space") return space.zoom({ in: 1.4, out: 1 / 1.4, fit: 0 }[how]);
  if (how === "fit") Object.assign(board, { zoom: 1, shift: [0, 0] });
  board.zoomBy({ in: 1.4, out: 1 / 1.4, fit: 1 }[how]);
};

// What is shown

const show = (next) => {
  const [opened, edited] = [next.image?.stamp !== state?.image?.stamp, next.key !== state?.key];
  state = next;
  if (opened) forget();
  board.show(state);
  asking.show(state);
  historyPanel($("#sr-history"), state, { jump: (to) => change("/api/jump", { to }) });
  $("#sr-undo").disabled = state.at === 0;
  $("#sr-redo").disabled = state.at === state.history.length - 1;
  $("#sr-draft").hidden = !state.draft;
  $("[data-draft=whole]").hidden = state.draft?.shape?.tool !== "box";
  $("#sr-name").textContent = state.image?.name ?? "";
  frames();
  about();
  panel();
  if (opened || edited) {
    measure();
    shown.space = null;
  }
  look();
};

const forget = () => {
  [measured, depth] = [null, null];
  shown = {};
  $("#sr-ruler").textContent = $("#sr-cursor").textContent = "";
  space.close();
  const { stamp } = state.image ?? {};
  if (state.image?.depth) bytes("/api/depth").then((buffer) => {
    const [height, width] = new Uint32Array(buffer, 0, 2);
    if (state.image?.stamp === stamp) depth = { height, width, values: new Float32Array(buffer, 8) };
  }, (error) => refused(error.message));
};

const frames = () => {
  $("#sr-frames").hidden = !state.frames;
  if (!state.frames) return;
  $("#sr-frame").replaceChildren(...state.frames.names.map((name, place) => make("option", { value: place }, name)));
  $("#sr-frame").value = state.frames.place;
};

const about = () => {
  const { image } = state;
  if (!image) return;
  const share = Math.round(image.known * 1000) / 10;
  const can = image.metric ? "sizes and distances can be measured" : image.depth ? "its depth has no scale or no camera is known: only behind and in front can be told"
    : "no depth: regions can be drawn and asked about, not measured";
  const sparse = image.depth && image.known < 0.2 ? `; sparse depth: ${share} % of the pixels are measured, so draw large regions, and read ± with care` : "";
  const detected = image.detected ? `; ${image.detected} regions are known: click them with the Click tool` : "";
  $("#sr-source").textContent = `${image.width} x ${image.height}; ${can}${sparse}${detected}${image.source ? `; ${image.source}` : ""}`;
};

const panel = () => measurePanel($("#sr-measure"), state, measured, board.selected, {
  wish, copy, select: (number) => { board.selected = number; board.draw(); panel(); },
});

const measure = async () => {
  const { key } = state;
  try {
    const found = await get("/api/measures");
    if (state.key === key) measured = found;
  } catch (error) {
    refused(error.message);
  }
  panel();
};

// The tab that is open: the image, its depth in colours, or the scene in three dimensions
const look = async () => {
  const solid = view === "space";
  $("#sr-board").hidden = solid;
  $("#sr-space").hidden = !solid;
  $("#sr-tools").hidden = solid;
  $("#sr-width").hidden = solid || !["brush", "erase"].includes(board.tool);
  $("#sr-cut").hidden = solid || board.tool !== "box" || !state.image?.depth;
  $("#sr-hint").textContent = solid ? "Drag or arrow keys turn it, scrolling or + and − come nearer; click two points for their distance." : TOOLS[board.tool][2];
  if (!state.image) return;
  const [wanted, where] = [`${view} ${state.image.stamp}`, solid ? "space" : "image"];
  if (shown[where] === wanted) return;
  shown[where] = wanted;
  try {
    if (solid) space.open(await bytes("/api/space"), state.image.stamp);
    else await flat(wanted);
    if (!solid) board.place();
  } catch (error) {
    shown[where] = null;
    refused(error.message);
  }
};

const flat = async (wanted) => {
  const { data, headers } = await blob(view === "depth" ? "/api/depth.png" : "/api/image");
  if (shown.image !== wanted) return;
  URL.revokeObjectURL(board.img.src);
  board.img.src = URL.createObjectURL(data);
  board.img.alt = `${state.image.name}, ${state.regions.length} numbered regions`;
  if (view === "depth") $("#sr-cursor").textContent = `bright is near, ${headers.get("X-Low")}; dark is far, ${headers.get("X-High")}${state.image.metric ? " m" : ""}`;
};

const start = async () => {
  const about = await get("/api/about");
  const tell = { wish, ruler, unruled, hover, refused, copy, busy, opened: show, selected: () => panel(), answered: async () => show(await get("/api/state")) };
  board = new Board($("#sr-board"), tell);
  space = new Space($("#sr-space"), tell);
  asking = new Asking(about, tell);
  opening(about, tell);
  exporting(tell);
  const kit = tools();
  tabs($("#sr-left .sr-tabs"), (tab) => { view = tab.dataset.view; refused(""); $("#sr-cursor").textContent = ""; look(); });
  tabs($("#sr-right .sr-tabs"), (tab) => {
    const panels = { measure: "#sr-measure", ask: "#sr-asking", history: "#sr-history", browse: "#sr-browse" };
    for (const [name, selector] of Object.entries(panels)) $(selector).hidden = name !== tab.dataset.panel;
    if (tab.dataset.panel === "history") latest($("#sr-history"));
  });
  $("#sr-undo").addEventListener("click", () => change("/api/step", { by: -1 }));
  $("#sr-redo").addEventListener("click", () => change("/api/step", { by: 1 }));
  $("#sr-clear").addEventListener("click", () => wish({ action: "clear" }));
  $("#sr-draft").addEventListener("click", (event) => event.target.dataset.draft && wish({ action: event.target.dataset.draft }));
  $("#sr-zoom").addEventListener("click", (event) => event.target.dataset.zoom && zoom(event.target.dataset.zoom));
  $("#sr-frame").addEventListener("change", (event) => change("/api/frame", { place: Number(event.target.value) }));
  $("#sr-numbers").addEventListener("submit", (event) => {
    event.preventDefault();
    const { text } = event.target.elements;
    wish({ action: "write", text: text.value }).then(() => { if ($("#sr-message").hidden) text.value = ""; });
  });
  if (about.browse.length) trees(about.browse);
  kit.chosen("box");
  shortcuts(kit);
  const saved = location.pathname.startsWith("/s/") ? location.pathname.slice(3) : "";
  show(await begin(saved));
  if (saved) history.replaceState(null, "", "/");
};

const trees = (questions) => {
  $("#sr-tab-browse").hidden = false;
  const select = $("#sr-browse select");
  const go = () => { $("#sr-browse iframe").src = `/browse?question=${encodeURIComponent(select.value)}`; };
  select.replaceChildren(...questions.map(([label, id]) => make("option", { value: id }, label)));
  select.addEventListener("change", go);
  $("#sr-tab-browse").addEventListener("click", go);
};

start().catch((error) => refused(error.message));
