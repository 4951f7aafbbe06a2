// Asks the server every few seconds, and for a user when told to. The token stays in this tab.

import { show, state, user } from "/console/figures.js";
import { byId, make } from "/console/words.js";

const PAUSE = 5000;
const PATIENCE = 15000;
const KEY = "ltv-token";
let turn = 0; // Of several answers under way only the last asked for counts.
let timer;

const token = () => sessionStorage.getItem(KEY);

async function ask(path) {
  const headers = token() ? { Authorization: `Bearer ${token()}` } : {};
  const response = await fetch(path, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  const body = await response.json();
  return { status: response.status, body };
}

function say(kind, text) {
  byId("state").dataset.kind = kind;
  // Told to those who listen only when it has changed.
  if (byId("state-text").textContent !== text) byId("state-text").textContent = text;
}

function wantToken() {
  const known = token() !== null;
  sessionStorage.removeItem(KEY);
  byId("token-failure").textContent = known ? "This token is not valid here." : "";
  byId("figures").hidden = true;
  byId("forget").hidden = true;
  byId("user-answer").replaceChildren();
  byId("updated").textContent = "";
  if (byId("token-form").hidden) {
    byId("token-form").hidden = false;
    byId("token").focus();
  }
  say("wait", "A token is needed");
}

function answered({ status, body }) {
  if (status === 401) return wantToken();
  if (status !== 200) return say("bad", `${body.title}: ${body.detail}`);
  byId("token-form").hidden = true;
  byId("forget").hidden = token() === null;
  byId("figures").hidden = false;
  const [kind, text, detail] = state(body);
  say(kind, text);
  show(body);
  byId("updated").textContent = `${detail ? `${detail}. ` : ""}Updated ${new Date().toLocaleTimeString("en-GB")}, every ${PAUSE / 1000} seconds`;
}

async function refresh() {
  clearTimeout(timer);
  const mine = ++turn;
  try {
    const answer = await ask("/v1/overview");
    if (mine === turn) answered(answer);
  } catch (error) {
    if (mine === turn) say("bad", "The server cannot be reached; what is shown is the last that it said");
  }
  if (mine !== turn) return;
  document.documentElement.dataset.drawn = "yes";
  // Without a token there is nothing to ask for, and a tab that nobody sees asks nothing.
  if (byId("token-form").hidden && !document.hidden) timer = setTimeout(refresh, PAUSE);
}

async function lookUp(event) {
  event.preventDefault();
  const id = byId("user").value.trim();
  if (!id) return;
  const into = byId("user-answer");
  try {
    const { status, body } = await ask(`/v1/ltv/${encodeURIComponent(id)}/movement`);
    if (status === 401) wantToken();
    else if (status === 200) into.replaceChildren(...user(body));
    else into.replaceChildren(make("p", { class: "note failure" }, `${body.title}: ${body.detail}`));
  } catch (error) {
    into.replaceChildren(make("p", { class: "note failure" }, "The server cannot be reached"));
  }
}

byId("user-form").addEventListener("submit", lookUp);
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("token").value.trim();
  if (!text) return;
  sessionStorage.setItem(KEY, text);
  byId("token").value = "";
  refresh();
});
byId("forget").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  wantToken();
  clearTimeout(timer);
  turn += 1;
});
document.addEventListener("visibilitychange", () => document.hidden || refresh());
refresh();
