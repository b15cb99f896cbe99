// All services, as a gateway has them: the first page of its console, and the choice of one.
"use strict";

const standings = { in: "good", leaving: "warn", tried: "warn", out: "bad" };
// What was last told of each service, so that the page does not begin anew each time; and of whom it is being asked.
const summaries = new Map();
const summarized = new Map();
// So many are counted.
const MOST = 100;
const counted = (number) => (number >= MOST ? `${MOST} or more` : number);

function summarize(service) {
  if (!summarized.has(service)) {
    const one = (path) => send(service, "GET", path, { quiet: true });
    const all = Promise.all([one("overview"), one(`dead-letters?limit=${MOST}`), one(`sagas?status=needs_operator&limit=${MOST}`)]);
    const told = all.then(([{ service, health }, letters, stuck]) => ({
      called: service, ready: health.ready, failing: Object.entries(health.parts).filter(([, p]) => !p.works).map(([name, p]) => `${name}: ${p.failing || "does not work"}`),
      letters: letters.length, stuck: stuck.length }))
      // Also that it answers something else than a service does.
      .catch((error) => ({ error }));
    summarized.set(service, told.then((summary) => { summaries.set(service, summary); summarized.delete(service); }));
  }
  return summarized.get(service);
}

// The state of a service, and what is to be known or done about it.
function stateOf(one) {
  const summary = summaries.get(one.service);
  if (one.missing) return [pill("no operator's API", "warn"), one.missing];
  if (!summary) return [pill("is asked"), ""];
  const error = summary.error;
  if (error && error.whose === one.service && [401, 403].includes(error.status)) {
    const another = () => askForToken(one.service, error.message).then(() => show(), fails);
    return [pill("wants another token", "warn"), [h("p", {}, error.message), h("button", { type: "button", "data-token": one.service, onclick: another }, "Show a token")]];
  }
  if (error instanceof Refused) return [pill("does not answer", "bad"), error.message];
  if (error) return [pill("cannot be shown", "bad"), `What is at its operator's API answers as no service does: ${error.message}`];
  const called = summary.called !== one.service && h("p", {}, `It calls itself “${summary.called}”.`);
  return [summary.ready ? pill("ready", "good") : pill("not ready", "bad"), [called, summary.failing.map((why) => h("p", {}, why))]];
}

function trouble(one, what, page) {
  const summary = summaries.get(one.service);
  if (!summary || summary.error) return "";
  const number = summary[what];
  if (!number) return h("span", { class: "soft" }, "0");
  return h("a", { class: "count", href: `#/services/${part(one.service)}/${page}` }, counted(number));
}

function serviceRow(one) {
  const out = one.instances.filter((instance) => instance.state !== "in").length;
  const instances = [`${one.instances.length}`, out > 0 && [" ", pill(`${out} not in`, "bad")]];
  const [state] = stateOf(one);
  const name = one.missing ? one.service : h("a", { href: `#/services/${part(one.service)}/` }, one.service);
  return [name, state, instances, one.routes.length, trouble(one, "letters", "dead-letters"), trouble(one, "stuck", "sagas"), ""];
}

// One line for each service, and below them what is to be known or done.
function serviceTable(all) {
  const told = all.services.map((one) => [one.service, [stateOf(one)[1]].flat(Infinity).filter(Boolean)]).filter(([, what]) => what.length);
  return [table([".Service", ".State", ".Instances", ".Routes", ".Dead letters", ".Waiting sagas", ""], all.services.map(serviceRow), "No service runs now."), told.length > 0 && list(told)].filter(Boolean);
}

async function services(params, token) {
  const all = await send(null, "GET", "services");
  const rows = h("div", { id: "services" }, serviceTable(all));
  for (const one of all.services.filter((one) => !one.missing)) {
    summarize(one.service).then(() => { if (shown === token) rows.replaceChildren(...serviceTable(all)); });
  }
  const each = (what) => all.services.flatMap((one) => one[what].map((inner) => [one.service, inner]));
  const again = (service, instance) => instance.state !== "in" && act("Ask again", { "data-act": "again" }, {
    question: `The instance ${instance.id} of “${service}” is asked again at once.`, method: "DELETE", path: `instances/${part(service)}/${part(instance.id)}/ejection`, done: () => `${instance.id} is asked again.` });
  const instance = ([service, one]) => [service, h("span", { class: "mono" }, one.id), h("div", { class: "bar" }, pill(one.state, standings[one.state]), again(service, one)), h("code", {}, one.url), one.admin ? h("code", {}, one.admin) : h("span", { class: "soft" }, "does not say"), one.under_way, ""];
  const [conflicts, unusable] = [each("conflicts"), each("unusable")];
  const registry = all.registry && (all.registry.failing ? [pill("the registry fails", "bad"), ` ${all.registry.failing}; what was known before still holds.`] : `Known from ${all.registry.is}.`);
  return [h("h1", {}, "Services"), h("p", { class: "lead" }, registry || "As the configuration of this gateway says."),
    card("", rows),
    card("Instances", table([".Service", ".Instance", ".State", ".Address", ".Operator's API", ".Under way", ""], each("instances").map(instance), "None can be asked.")),
    conflicts.length > 0 && card("Routes that a service does not get", table([".Service", ".Route", "Kept by"], conflicts.map(([service, one]) => [service, h("code", {}, one.route), one.kept_by]))),
    unusable.length > 0 && card("Instances that cannot be asked", table([".Service", "Why"], unusable)),
    card("Routes", table([".Method", "Path", ".Service"], each("routes").map(([service, one]) => [h("code", {}, one.method), h("code", {}, one.path), service]), "No service offers a route."))];
}

// Another service, at the same page if every service has it.
function turnTo(service) {
  const name = address().name;
  location.hash = `#/services/${part(service)}/` + (pages.some(([path]) => path === name) ? name : "");
}

// Which service is looked at, and by which of its instances.
function choose(all) {
  const [service, spot] = [place.service, byId("choice")];
  const names = [...new Set([...all.services.map((one) => one.service), service])];
  const known = all.services.find((one) => one.service === service);
  const instances = known ? known.instances.filter((one) => one.admin).map((one) => one.id) : [];
  const options = (values, chosen) => values.map((value) => h("option", { value, selected: value === chosen }, value));
  const drawn = JSON.stringify([names, service, instances, heard.get(service)]);
  // One that is open stays open.
  if (spot.dataset.drawn === drawn) return;
  spot.dataset.drawn = drawn;
  const which = h("select", { id: "which-service", "aria-label": "Service" }, options(names, service));
  which.addEventListener("change", () => { which.blur(); turnTo(which.value); });
  const who = instances.length > 1 && h("select", { id: "which-instance", "aria-label": "Instance" }, options(instances, heard.get(service)));
  if (who) who.addEventListener("change", () => { who.blur(); heard.set(service, who.value); notice(); begin(); });
  spot.replaceChildren(...[which, who].filter(Boolean));
}

// The instance that was looked at has gone, and another one has answered.
function gone(service, before, now) {
  if (service !== place.service) return;
  notice(`The instance ${before} of “${service}” does not answer any more. This is told by ${now}.`, "warn");
  begin(true);
}
