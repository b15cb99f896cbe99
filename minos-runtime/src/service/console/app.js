// The operator's page: what the address says is shown, and again now and then.
"use strict";

const pages = [["", "Overview"], ["events", "Events"], ["sagas", "Sagas"], ["dead-letters", "Dead letters"], ["views", "Views"]];
const routes = { "": overview, events, stream, sagas, saga, "saga-definition": definition, "dead-letters": deadLetters, "dead-letter": deadLetter, views };
// How much an address says behind the name of its page.
const depths = { stream: 2, saga: 1, "saga-definition": 1, "dead-letter": 1 };
const under = { stream: "events", saga: "sagas", "saga-definition": "", "dead-letter": "dead-letters" };
let shown = 0;
let timer;
// Whether the next page still says what was done on the last one.
let kept = false;
let failing = false;

// The page, if the address has all that belongs to it, and no more: else something would be shown that it does not say.
function pageOf(name, params) {
  return Object.hasOwn(routes, name) && params.length === (depths[name] || 0) ? routes[name] : undefined;
}

// What the address means: a page of this service, or at a gateway of one of all, `#/services/{service}/…`.
function address() {
  let parts = [""];
  try { parts = location.hash.replace(/^#\/?/, "").replace(/\/$/, "").split("/").map(decodeURIComponent); } catch { /* It is no address. */ }
  const own = (service, [name = "", ...params]) => ({ service, name, params, page: pageOf(name, params) });
  if (!atGateway) return own(null, parts);
  if (parts[0] === "services" && parts[1]) return own(parts[1], parts.slice(2));
  return { service: null, name: parts[0], params: [], page: parts[0] === "" ? services : undefined };
}

function navigation(name, letters, stuck) {
  const count = { "dead-letters": letters, sagas: stuck };
  const entry = (href, title, current, number) => h("a", { href, "aria-current": current && "page" }, title, number > 0 && h("span", { class: "count" }, number));
  const all = atGateway && entry("#/", "Services", place.service === null);
  const own = atGateway && place.service === null ? [] : pages.map(([path, title]) => entry(here(path), title, path === (under[name] ?? name), count[path]));
  byId("nav").replaceChildren(...[all, ...own].filter(Boolean));
}

function headed(title, state, kind) {
  byId("service").textContent = atGateway ? "All services" : title;
  document.title = `${title} · Minos`;
  byId("state").textContent = state;
  byId("state").className = "pill " + kind;
}

async function state(name) {
  if (atGateway && place.service === null) {
    byId("choice").replaceChildren();
    delete byId("choice").dataset.drawn;
    headed("All services", "", "");
    return navigation(name);
  }
  const token = shown;
  const choice = atGateway ? send(null, "GET", "services") : undefined;
  const [all, letters, stuck, services] = await Promise.all([read("overview"), read("dead-letters?limit=100").catch(() => []), read("sagas?status=needs_operator&limit=100").catch(() => []), choice]);
  if (shown !== token) return;
  headed(place.service ?? all.service, all.health.ready ? "ready" : "not ready", all.health.ready ? "good" : "bad");
  navigation(name, letters.length, stuck.length);
  if (services) choose(services);
}

function fails(error) {
  failing = true;
  notice(error instanceof Refused ? error.message : `This cannot be shown: ${error.message}`, "bad");
}

function works() {
  if (failing && byId("notice").className === "bad") notice();
  failing = false;
}

// Why nothing is shown; and if another token might help, how to show one.
function refusal(error) {
  const another = () => askForToken(error.whose, error.message).then(() => show(), fails);
  return h("section", { class: "card" }, h("p", { class: "empty" }, error.whose ? `“${error.whose}” says: ${error.message}` : error.message),
    error.status === 403 && h("div", { class: "bar" }, h("button", { type: "button", id: "another-token", onclick: another }, "Show another token")));
}

// The head of a page at a gateway that cannot be shown: another service can be chosen all the same.
function unknown(name, token) {
  headed(place.service ?? "All services", "", "");
  navigation(name);
  if (place.service !== null) send(null, "GET", "services", { quiet: true }).then((all) => { if (shown === token) choose(all); }, () => {});
}

async function show(again) {
  const token = ++shown;
  clearTimeout(timer);
  const { service, name, params, page } = address();
  place.service = service;
  try {
    const content = page ? await page(params, token) : [h("p", { class: "empty" }, "There is no such page.")];
    if (shown !== token) return;
    // Nobody loses what they are typing.
    byId("main").replaceChildren(...content.flat().filter(Boolean));
    byId("main").dataset.page = name || (page === services ? "services" : "overview");
    if (again !== true && !byId("notice").className) notice();
    await state(name);
    if (shown === token) works();
  } catch (error) {
    if (shown !== token) return;
    if (again !== true) byId("main").replaceChildren(refusal(error));
    if (atGateway) unknown(name, token);
    fails(error);
  }
  if (shown === token) timer = setTimeout(tick, 4000);
}

// The same, with nothing that was shown before.
function begin(again) {
  Object.assign(live, { events: [], read: undefined });
  show(again);
}

// What is open or chosen stays: the page is not drawn anew below an open dialog, or the live events.
function tick() {
  const { name } = address();
  const busy = byId("dialog").open || document.hidden || (document.activeElement && /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) || String(getSelection());
  if (busy) timer = setTimeout(tick, 1000);
  else if (name === "events") state(name).then(works, () => {}).then(() => { timer = setTimeout(tick, 4000); });
  else show(true);
}

byId("token").addEventListener("click", () => { forgetTokens(); location.reload(); });
addEventListener("hashchange", () => {
  if (!kept) notice();
  kept = false;
  // What was chosen is of the service that was looked at.
  if (address().service !== place.service) { live.only = ""; Object.assign(filter, { status: "", saga: "" }); }
  begin();
});
showToken();
navigation(address().name);
show();
