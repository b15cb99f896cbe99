// Elements of the page. Everything that comes from a service is put into the page as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
const part = encodeURIComponent;
// Whether this is the page of a gateway, which has all services, and the service that is looked at there.
const atGateway = document.documentElement.dataset.place === "gateway";
const place = { service: null };
// The address of a page of what is looked at.
const here = (...path) => "#/" + (place.service === null ? path : ["services", place.service, ...path]).map(part).join("/");

function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false) element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

const link = (text, ...path) => h("a", { href: here(...path) }, text);
const json = (value) => h("pre", {}, typeof value === "string" ? value : JSON.stringify(value, null, 2));
const short = (value) => h("pre", {}, typeof value === "string" ? value : JSON.stringify(value));
const pill = (text, kind) => h("span", { class: "pill " + (kind || "") }, text);
const card = (title, ...children) => h("section", { class: "card" }, title && h("h2", {}, title), ...children);
const list = (pairs) => h("dl", {}, pairs.filter(([, value]) => value !== undefined && value !== null && value !== "").map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

// Columns whose name begins with a dot are as narrow as what is in them.
function table(columns, rows, empty) {
  if (!rows.length) return h("p", { class: "empty" }, empty || "Nothing.");
  const tight = (name) => (name.startsWith(".") ? { class: "tight" } : {});
  const head = h("tr", {}, columns.map((name) => h("th", tight(name), name.replace(/^\./, ""))));
  const body = rows.map((row) => h("tr", {}, columns.map((name, n) => h("td", tight(name), row[n]))));
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, head), h("tbody", {}, body)));
}

function time(text) {
  if (!text) return "";
  const at = new Date(text);
  if (isNaN(at)) return text;
  const today = new Date().toDateString() === at.toDateString();
  return h("time", { datetime: text, title: text }, today ? at.toLocaleTimeString() : at.toLocaleString());
}

function notice(text, kind) {
  byId("notice").textContent = text || "";
  byId("notice").className = kind || "";
  byId("notice").hidden = !text;
}
