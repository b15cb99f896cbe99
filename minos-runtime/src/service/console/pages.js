// The pages of one service.
"use strict";

function handlers(overview) {
  const of = (rows, columns, empty) => table(columns, rows, empty);
  return h("div", { class: "grid" },
    card("Routes", of(overview.routes.map((r) => [h("code", {}, r.method), h("code", {}, r.path), r.handler, r.kind]), [".Method", "Path", "Handler", ".Kind"], "No handler is asked by HTTP.")),
    card("Topics", of(overview.topics.map((t) => [h("code", {}, t.topic), t.handler, t.kind]), ["Topic", "Handler", ".Kind"], "No handler is asked by the broker.")),
    card("Listens to", of(overview.events.map((e) => [h("code", {}, e.event), e.handler]), ["Event", "Handler"], "No handler listens to events.")),
    card("Schedules", of(overview.schedules.map((s) => [h("code", {}, s.schedule), s.handler]), [".Schedule", "Handler"], "Nothing runs by the clock.")),
    card("Sagas", of(overview.sagas.map((s) => [link(s.saga, "saga-definition", s.saga), s.steps.join(" → ")]), [".Saga", "Steps"], "This service has no sagas.")));
}

async function overview() {
  const all = await read("overview");
  const parts = Object.entries(all.health.parts);
  const word = (p) => (p.works ? pill("works", "good") : pill("fails", p.vital ? "bad" : "warn"));
  const told = place.service !== null && [`. Told by the instance ${heard.get(place.service)}.`, all.service !== place.service && ` It calls itself “${all.service}”.`];
  return [h("h1", {}, place.service ?? all.service), h("p", { class: "lead" }, `Since ${new Date(all.started_at).toLocaleString()}, Minos ${all.version}`, told),
    h("div", { class: "grid" },
      card("Health", table([".Part", ".State", ".Last success", "Why"], parts.map(([name, p]) => [name, word(p), time(p.succeeded_at), p.failing || ""]))),
      card("Stands on", list([["Store", all.store], ["Broker", all.broker], ["HTTP", h("code", {}, all.http)], ["Log ends at", all.head]]))),
    handlers(all)];
}

function eventRows(events) {
  return events.map((e) => [e.position, time(e.at), link(e.aggregate, "stream", e.aggregate, e.uuid), h("span", { class: "mono", title: e.uuid }, e.uuid.slice(-12)), e.version, e.name, short(e.data)]);
}

const eventColumns = [".Position", ".Time", ".Aggregate", ".Uuid", ".Version", ".Event", "Data"];
const live = { events: [], read: undefined, paused: false, only: "" };

async function events(params, token) {
  const filter = live.only ? "&aggregate=" + part(live.only) : "";
  try {
    const log = live.read === undefined ? await read("events?last=50" + filter) : { events: [], read: live.read };
    if (shown !== token) return [];
    live.events = log.events.reverse().concat(live.events).slice(0, 500);
    live.read = log.read;
  } catch (error) {
    if (error.status === 404 && error.whose === place.service) return [h("h1", {}, "Events"), h("p", { class: "empty" }, "This build does not tell its events.")];
    throw error;
  }
  const spot = h("div", { id: "live" });
  const draw = () => spot.replaceChildren(table(eventColumns, eventRows(live.events), "Nothing has happened yet."));
  const input = h("input", { placeholder: "Only this aggregate", "aria-label": "Only this aggregate", value: live.only, id: "only" });
  input.addEventListener("change", () => { Object.assign(live, { only: input.value.trim(), events: [], read: undefined }); show(); });
  const pause = h("button", { type: "button", id: "pause", onclick: () => { live.paused = !live.paused; pause.textContent = live.paused ? "Go on" : "Pause"; } }, live.paused ? "Go on" : "Pause");
  draw();
  // The service answers as soon as something happens, or after a while.
  (async () => {
    while (shown === token) {
      if (live.paused || document.hidden) { await new Promise((later) => setTimeout(later, 300)); continue; }
      try {
        const log = await read(`events?after=${live.read}&limit=200&wait=true${filter}`);
        if (shown !== token) return;
        if (log.events.length) { live.events = log.events.reverse().concat(live.events).slice(0, 500); draw(); }
        live.read = log.read;
        works();
      } catch (error) {
        if (shown !== token) return;
        fails(error);
        await new Promise((later) => setTimeout(later, 3000));
      }
    }
  })();
  return [h("div", { class: "bar" }, h("h1", {}, "Events"), h("span", { class: "space" }), input, pause), h("section", { class: "card" }, spot)];
}

async function stream([aggregate, uuid]) {
  const path = `${part(aggregate)}/${part(uuid)}`;
  const all = await read("streams/" + path);
  const holder = await read("holds/" + path).catch(() => null);
  return [h("h1", {}, aggregate), h("p", { class: "lead mono" }, uuid),
    holder && card("Held", list([["By the saga", link(`${holder.saga} ${holder.execution}`, "saga", holder.execution)], ["Step", holder.step], ["Service", holder.service]])),
    card(`Its history, up to version ${all.version ?? all.events.length}`,
      table([".Version", ".Time", ".Event", "Data", ".Led to by", ".User"], all.events.map((e) => [e.version, time(e.at), e.name, json(e.data), h("span", { class: "mono", title: `correlation ${e.correlation_id}\ncausation ${e.causation_id}` }, e.causation_id.slice(-12)), e.user || ""])))];
}

const statusKind = { committed: "good", rolled_back: "warn", needs_operator: "bad" };
const status = (word) => pill(word.replace(/_/g, " "), statusKind[word]);
const filter = { status: "", saga: "" };

async function sagas() {
  const query = Object.entries(filter).filter(([, value]) => value).map(([name, value]) => `${name}=${part(value)}`).join("&");
  const rows = await read("sagas?limit=100" + (query && "&" + query));
  const choice = h("select", { "aria-label": "Status", id: "status" }, ["", "running", "compensating", "committing", "needs_operator", "committed", "rolled_back"].map((word) => h("option", { value: word, selected: word === filter.status }, word.replace(/_/g, " ") || "every status")));
  choice.addEventListener("change", () => { filter.status = choice.value; show(); });
  return [h("div", { class: "bar" }, h("h1", {}, "Sagas"), h("span", { class: "space" }), choice),
    h("section", { class: "card" }, table([".Status", ".Saga", "Execution", ".Started", ".Changed", ".User"], rows.map((s) => [status(s.status), s.saga, link(s.key ? `${s.key} (${s.id})` : s.id, "saga", s.id), time(s.started_at), time(s.changed_at), s.user || ""]), "No execution is like this."))];
}

async function diagram(path) {
  const picture = new Blob([await read(path, "text")], { type: "image/svg+xml" });
  const url = URL.createObjectURL(picture);
  const image = h("img", { src: url, alt: "Diagram" });
  image.addEventListener("load", () => URL.revokeObjectURL(url));
  return h("div", { class: "diagram" }, image);
}

const doing = (state) => (typeof state.status === "string" ? [state.status, undefined] : Object.entries(state.status)[0]);

async function saga([id]) {
  const all = await read("sagas/" + part(id));
  const picture = await diagram(`sagas/${part(id)}/diagram.svg`).catch((error) => h("p", { class: "empty" }, error.message));
  const path = (step, verb) => `sagas/${part(id)}/steps/${part(step)}/${verb}`;
  const buttons = (name, state) => {
    if (!["stuck", "pausing"].includes(doing(state)[0])) return "";
    return h("div", { class: "bar" },
      act("Retry", { "data-act": "retry" }, { question: `The step “${name}” is tried again now.`, method: "PUT", path: path(name, "retry"), done: () => `“${name}” is tried again.` }),
      act("Skip", { class: "risky", "data-act": "skip" }, { question: `The step “${name}” counts as done by hand.`, field: "What it yields, as JSON: null if it yields nothing. Empty if it has not happened, and never will.", method: "PUT", path: path(name, "skip"), body: (typed) => (typed ? { value: JSON.parse(typed) } : {}), done: () => `“${name}” is skipped.` }));
  };
  const steps = Object.entries(all.steps).map(([name, state]) => {
    const [word, direction] = doing(state);
    const kind = { stuck: "bad", pausing: "warn", failed: "warn", succeeded: "good", applied: "good" }[word];
    const tries = Object.entries(state.attempts).map(([what, count]) => `${what} ${count}`).join(", ");
    return [name, pill([word.replace(/_/g, " "), direction].filter(Boolean).join(": "), kind), tries, time(state.changed_at), state.error ? state.error.message : "", buttons(name, state)];
  });
  const ended = ["committed", "rolled_back"].includes(all.status);
  return [h("div", { class: "bar" }, h("h1", {}, all.saga), status(all.status), h("span", { class: "space" }),
    !ended && act("Roll back", { class: "risky", id: "rollback" }, { question: "All that was done is undone, if it still can be.", method: "PUT", path: `sagas/${part(id)}/rollback`, done: () => "It goes back." })),
    h("p", { class: "lead mono" }, id),
    all.failure && card("Why it is undone", h("p", {}, all.failure.message)),
    card("Steps", table([".Step", ".State", ".Attempts", ".Changed", "Error", ".Repair"], steps, "Nothing was begun.")),
    h("div", { class: "grid" }, card("As a diagram", picture), card("What is known", json(all.values))),
    all.repairs && all.repairs.length > 0 && card("What operators have done", table([".When", ".Who", "What"], all.repairs.map((r) => [time(r.at), r.by || "somebody", short(r.repair)])))];
}

async function definition([name]) {
  return [h("h1", {}, name), h("p", { class: "lead" }, "As it is defined."), card("", await diagram(`definitions/${part(name)}/diagram.svg`))];
}

const replay = (letter, leave) => act("Replay", { "data-act": "replay" }, { question: "The message is handled again, and what waits behind it.", method: "PUT", path: `dead-letters/${part(letter.id)}/replay`, done: (answer) => `${answer.handled} handled.`, leave });
const discard = (letter, leave) => act("Discard", { class: "risky", "data-act": "discard" }, { question: "The message is never handled. What waits behind it is.", method: "DELETE", path: `dead-letters/${part(letter.id)}`, done: () => "It is discarded.", leave });

async function deadLetters() {
  const letters = await read("dead-letters?limit=100");
  return [h("h1", {}, "Dead letters"), h("p", { class: "lead" }, "Messages that could not be handled. Later ones of the same key wait behind them."),
    h("section", { class: "card" }, table([".Id", ".Since", "Handler", "Message", "Why", ".Repair"], letters.map((l) => [link(l.id, "dead-letter", l.id), time(l.at), l.subscriber, h("span", {}, (l.headers && l.headers.name) || l.topic, h("br"), h("span", { class: "soft mono" }, l.key)), l.cause, h("div", { class: "bar" }, replay(l), discard(l))]), "Everything was handled."))];
}

async function deadLetter([id]) {
  const letter = await read("dead-letters/" + part(id));
  let content = letter.content ?? letter.content_hex;
  try { content = JSON.parse(letter.content); } catch { /* It is shown as it is. */ }
  return [h("div", { class: "bar" }, h("h1", {}, `Dead letter ${letter.id}`), h("span", { class: "space" }), replay(letter, here("dead-letters")), discard(letter, here("dead-letters"))),
    h("p", { class: "lead" }, letter.cause),
    card("", list([["Handler", letter.subscriber], ["Topic", letter.topic], ["Key", h("code", {}, letter.key)], ["Attempts", letter.attempts], ["Since", time(letter.at)]])),
    h("div", { class: "grid" }, card("Content", json(content)), card("Headers", json(letter.headers)))];
}

async function views() {
  const all = await read("projections");
  const row = (view) => {
    const [at, building] = [view.live ? view.live.position : undefined, view.rebuild];
    const behind = at === undefined ? undefined : Math.max(0, view.head - at);
    const state = view.parked ? pill(`${view.parked} put aside`, "bad") : building ? pill("is rebuilt", "warn") : view.inline ? pill("with each commit", "good") : behind ? pill(`${behind} behind`, "warn") : pill("up to date", "good");
    return [view.name, state, view.inline ? "" : at ?? "", building ? building.position : "", view.head,
      act("Rebuild", { "data-act": "rebuild" }, { question: `“${view.name}” is built again from all events. It is read as it is until that is done.`, method: "PUT", path: `projections/${part(view.name)}/rebuild`, done: () => `The rebuild of “${view.name}” has begun.` })];
  };
  return [h("h1", {}, "Views"), h("p", { class: "lead" }, "Read models, and how far they have taken the log."),
    h("section", { class: "card" }, table(["View", ".State", ".Position", ".Rebuilt up to", ".Log ends at", ".Repair"], all.map(row), "This service has no read models."))];
}
