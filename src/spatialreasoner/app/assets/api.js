// Requests to the server. The token of the visit travels in a header, so nothing of a visitor has an address.
const KEPT = "spatialreasoner-session";
let token = sessionStorage.getItem(KEPT) ?? "";

export class Refused extends Error {}

const reply = async (path, options = {}) => {
  let found;
  try {
    found = await fetch(path, { ...options, headers: { "X-Session": token, ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The app does not answer; is it still running?");
  }
  if (found.ok) return found;
  const told = await found.json().catch(() => ({}));
  const refused = new Refused(told.error ?? `The app answered with ${found.status}.`);
  refused.status = found.status;
  throw refused;
};

const json = (sent) => ({ method: "POST", body: JSON.stringify(sent), headers: { "Content-Type": "application/json" } });

export const get = async (path) => (await reply(path)).json();
export const post = async (path, sent = {}) => (await reply(path, json(sent))).json();
export const bytes = async (path) => (await reply(path)).arrayBuffer();
export const blob = async (path) => {
  const found = await reply(path);
  return { data: await found.blob(), headers: found.headers };
};
export const upload = async (form) => (await reply("/api/open", { method: "POST", body: form })).json();

// A visit begun before in this tab, a saved session, or a new visit
export const begin = async (saved) => {
  if (token && !saved) {
    try {
      return await get("/api/state");
    } catch (error) {
      if (error.status !== 401) throw error;
    }
  }
  const begun = await post("/api/begin", { saved });
  token = begun.token;
  sessionStorage.setItem(KEPT, token);
  return begun.state;
};

// Lines of JSON, one after the other as they come
export async function* lines(path, sent, signal) {
  const reader = (await reply(path, { ...json(sent), signal })).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const parts = (rest + (value ?? "")).split("\n");
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part);
    if (done) return;
  }
}
