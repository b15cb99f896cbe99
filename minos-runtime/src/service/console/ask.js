// Asking, with the tokens of whoever looks; and asking whoever looks. What is asked of a service at a gateway goes through the gateway.
"use strict";

const TOKEN = "minos-token";
// The token for the server of this page, or for a service behind it that takes another one.
const tokenKey = (whose) => (whose === null ? TOKEN : `${TOKEN}:${whose}`);
const tokenOf = (whose) => sessionStorage.getItem(tokenKey(whose));
// Of which services nothing may be changed with the token that there is.
const readOnly = new Set();
// Which instance of each service has answered: it is asked again, so that one look is at one of them.
const heard = new Map();

class Refused extends Error {
  constructor(status, message, whose) {
    super(message);
    this.status = status;
    // Who has refused: a service behind this server, or the server itself.
    this.whose = whose;
  }
}

async function send(of, method, path, { body, as, quiet } = {}) {
  const [token, own, wanted] = [tokenOf(null), of === null ? null : tokenOf(of), heard.get(of)];
  const headers = {};
  if (token) headers.authorization = "Bearer " + token;
  if (own) headers["service-authorization"] = "Bearer " + own;
  if (wanted !== undefined) headers["minos-instance"] = wanted;
  if (body !== undefined) headers["content-type"] = "application/json";
  const url = of === null ? path : `services/${part(of)}/${path}`;
  const request = { method, headers, body: body === undefined ? undefined : JSON.stringify(body), redirect: "error", cache: "no-store" };
  const answer = await fetch(url, request).catch(() => { throw new Refused(0, atGateway ? "The gateway does not answer." : "The service does not answer.", null); });
  // What the gateway says itself comes from no instance.
  const instance = of === null ? null : answer.headers.get("minos-instance");
  if (instance !== null && instance !== wanted && heard.get(of) === wanted) {
    heard.set(of, instance);
    if (wanted !== undefined) gone(of, wanted, instance);
  }
  const text = await answer.text();
  if (answer.ok) return as === "text" ? text : text ? JSON.parse(text) : null;
  let why = text;
  try {
    const problem = JSON.parse(text);
    why = problem.detail || problem.title || text;
  } catch { /* It is told as it came. */ }
  const whose = instance === null ? null : of;
  if (answer.status === 401 && !quiet) {
    // Meanwhile there may be another one.
    if (tokenOf(whose) === (whose === null ? token : own)) await askForToken(whose, why);
    return send(of, method, path, { body, as });
  }
  throw new Refused(answer.status, why || String(answer.status), whose);
}

const read = (path, as) => send(place.service, "GET", path, { as });

// Dialogs: one at a time. What was typed comes back; nothing, if it was called off.

let waiting = Promise.resolve();

function dialog(build) {
  const turn = waiting.then(() => new Promise((resolve) => {
    const box = byId("dialog");
    let result;
    const close = (value) => { result = value; box.close(); };
    box.replaceChildren(...build(close));
    box.addEventListener("close", () => resolve(result), { once: true });
    box.showModal();
  }));
  waiting = turn.catch(() => {});
  return turn;
}

function whyToken(whose, why) {
  if (whose !== null) return tokenOf(whose) ? `“${whose}” does not take this token: ${why}` : `“${whose}” wants another token than the gateway: ${why}`;
  if (tokenOf(null)) return `This token is not taken: ${why}`;
  return atGateway ? "Who looks at these services has to show a token to the gateway." : "Who looks at this service has to show a token.";
}

const asking = new Map();

function askForToken(whose, why) {
  if (asking.has(whose)) return asking.get(whose);
  const asked = dialog((close) => {
    const input = h("input", { type: "password", id: "token-input", autocomplete: "off", "aria-label": "Token" });
    const form = h("form", { method: "dialog" }, h("h2", {}, whose === null ? "Token" : `Token for ${whose}`), h("p", {}, whyToken(whose, why)), input,
      h("div", { class: "bar" }, h("button", { class: "main", id: "token-go" }, "Go on")));
    form.addEventListener("submit", (event) => { event.preventDefault(); close(input.value.trim()); });
    return [form];
  }).then((token) => {
    asking.delete(whose);
    if (!token) throw new Refused(401, whose === null ? "There is no token: reload the page to be asked again." : `“${whose}” wants a token, and there is none.`, whose);
    sessionStorage.setItem(tokenKey(whose), token);
    if (whose === null) readOnly.clear();
    else readOnly.delete(whose);
    showToken();
  });
  asking.set(whose, asked);
  return asked;
}

const tokenKeys = () => Object.keys(sessionStorage).filter((key) => key === TOKEN || key.startsWith(TOKEN + ":"));

function showToken() {
  byId("token").hidden = !tokenKeys().length;
}

function forgetTokens() {
  tokenKeys().forEach((key) => sessionStorage.removeItem(key));
}

function confirmed(title, question, word, field) {
  return dialog((close) => {
    const input = field && h("textarea", { id: "dialog-input", "aria-label": field }, "");
    return [title && h("h2", {}, title), h("p", {}, question), field && h("p", { class: "soft" }, field), input, h("div", { class: "bar" },
      h("button", { type: "button", onclick: () => close() }, "Leave it"),
      h("button", { type: "button", class: "main", id: "dialog-go", onclick: () => close(input ? input.value.trim() : true) }, word))]
      .filter(Boolean);
  });
}

// A button that changes something of what is looked at now. Who may only look sees it, and cannot press it.
function act(word, properties, { question, field, method, path, body, done, leave }) {
  const of = place.service;
  const told = "Your token may look, and change nothing.";
  const button = h("button", { type: "button", disabled: readOnly.has(of), title: readOnly.has(of) ? told : undefined, ...properties });
  button.append(word);
  button.addEventListener("click", async () => {
    const typed = await confirmed(of, question, word, field);
    if (typed === undefined) return;
    button.disabled = true;
    try {
      const answer = await send(of, method, path, { body: body && body(typed) });
      notice(done(answer), "good");
      if (leave) {
        kept = true;
        location.hash = leave;
        return;
      }
    } catch (error) {
      if (error.status === 403) {
        readOnly.add(of);
        notice(told, "bad");
      } else notice(error.message, "bad");
    }
    show();
  });
  return button;
}
