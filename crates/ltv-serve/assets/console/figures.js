// What is answered, as cards, tables and drawings.

import { histogram, sparkline } from "/console/charts.js";
import { amount, byId, change, count, lasting, make, share, table, time } from "/console/words.js";

function card(title, figure, facts) {
  const rows = facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  return make("div", { class: "card" }, make("h3", {}, title), make("p", { class: "figure" }, figure), make("dl", { class: "facts" }, ...rows));
}

// What there is to say of it all in one line, and how good that is; and what changes with every second, which nobody
// wants to be told each time.
export function state({ server, live, old_seconds: old }) {
  const age = live ? `Published ${lasting(live.age_seconds)} ago` : "";
  if (server.failing_seconds !== undefined) {
    const then = live ? `answers go on from version ${live.version}` : "there is nothing to answer from";
    return ["bad", `The store cannot be read; ${then}`, `Not read for ${lasting(server.failing_seconds)}. ${age}`];
  }
  if (!live) return ["bad", "Nothing is published: publish a snapshot with ‘ltv publish’", ""];
  if (live.age_seconds > old) return ["bad", `Old: ${live.as_of} was published more than ${lasting(old)} ago`, age];
  return ["good", `Fresh: ${live.as_of} is live`, age];
}

function shown({ server, live }) {
  const cards = [];
  if (live) {
    cards.push(card("As of", live.as_of, [["Version", live.version], ["Published", live.published.replace("T", " ").replace("Z", " UTC")],
      ["Age", lasting(live.age_seconds)], ["Model", live.model_id]]));
    const horizons = live.horizons.map(({ days }) => days).join(", ");
    cards.push(card("Users", count(live.rows), [["Horizons, days", horizons], ["Decoding", live.decoding], ["Published of each", live.detail],
      ["Longer never worth less", live.monotone ? "yes" : "no"]]));
  }
  const asked = server.found + server.unknown;
  cards.push(card("Up for", lasting(server.uptime_seconds), [["Store", server.store], ["Program", server.program], ["Users looked up", count(asked)],
    ["Not found", share(server.unknown, asked)], ["Of unknown users", server.fallback], ["Predicts on demand", server.on_demand || "no"]]));
  byId("live").replaceChildren(...cards);
}

const horizonOf = (version, days) => version && version.horizons.find((horizon) => horizon.days === days);

function values({ live, before }) {
  if (!live) {
    byId("values").replaceChildren(make("p", { class: "note" }, "Nothing is published."));
    byId("statuses").replaceChildren();
    return;
  }
  const charts = live.horizons.map((horizon) => {
    const old = horizonOf(before, horizon.days);
    const numbers = `Mean ${amount(horizon.mean)} (dashed), median ${amount(horizon.p50)}, 90 % at or below ${amount(horizon.p90)}, 99 % ${amount(horizon.p99)}, largest ${amount(horizon.largest)}.`;
    const nothing = `${share(horizon.zeros, live.rows)} are worth exactly 0, drawn apart.`;
    const caption = make("figcaption", {}, make("h3", {}, `${horizon.days} days`), make("p", {}, `${numbers} ${nothing}`));
    const key = make("p", { class: "note" }, make("span", { class: "key" }), "Users by value, logarithmic axis");
    if (old) key.append("  ", make("span", { class: "key line" }), `version before (${before.as_of})`);
    return make("figure", { class: "chart" }, caption, histogram(horizon, live.rows, old, before && before.rows), key);
  });
  byId("values").replaceChildren(...charts);
  const heads = ["Status", "Users", "Share", ...live.horizons.map(({ days }) => `Mean, ${days} days`)];
  const rows = live.statuses.map((of) => [of.status, count(of.rows), share(of.rows, live.rows), ...of.means.map(amount)]);
  byId("statuses").replaceChildren(table("Users by status", heads, rows));
}

function moved({ live, before, before_unreadable: unreadable, shift }) {
  const into = byId("movement");
  if (!live || !before) {
    const none = unreadable ? "The version before cannot be read now." : "There is no version before the one that is live.";
    into.replaceChildren(make("p", { class: "note" }, none));
    return;
  }
  const pair = (now, old) => make("span", {}, amount(now), make("small", {}, `was ${amount(old)}`));
  const rows = live.horizons.filter(({ days }) => horizonOf(before, days)).map((now) => {
    const old = horizonOf(before, now.days);
    const index = shift.find(({ days }) => days === now.days);
    const psi = index ? [`${index.psi.toFixed(3)}, ${index.reading}`, index.reading === "stable" ? "" : "warn"] : "–";
    const zeros = make("span", {}, share(now.zeros, live.rows), make("small", {}, `was ${share(old.zeros, before.rows)}`));
    return [`${now.days} days`, pair(now.mean, old.mean), change(now.mean, old.mean), zeros, pair(now.p50, old.p50), pair(now.p90, old.p90), pair(now.p99, old.p99), psi];
  });
  const users = `Version ${before.version}, as of ${before.as_of}, of model ${before.model_id}, had ${count(before.rows)} users: now there are ${count(live.rows)} (${change(live.rows, before.rows)}).`;
  const heads = ["Horizon", "Mean", "Change", "Exactly 0", "Median", "90 %", "99 %", "Stability index"];
  const reading = "Quantiles are exact to a fifth. The population stability index compares shares of users in tenths of the version before: from 0.1 on it is usual to speak of a move, above 0.25 of another population.";
  into.replaceChildren(make("p", {}, users), table("Values, now and before", heads, rows), make("p", { class: "note" }, reading));
}

function traffic({ traffic: seen }) {
  const spark = (title, values, unit) => {
    const known = values.filter((value) => value !== null);
    const last = known.length ? `${unit(known[known.length - 1])} last, ${unit(Math.max(...known))} at most` : "No requests yet";
    const caption = make("figcaption", {}, make("h3", {}, title), make("p", {}, `${last}, in the last five minutes.`));
    return make("figure", { class: "chart" }, caption, sparkline(values, `${title}: ${last}`));
  };
  byId("history").replaceChildren(
    spark("Requests about users, per second", seen.history.map((step) => step.per_second), amount),
    spark("Their 99 % time", seen.history.map((step) => step.p99), time));
  const warn = (number) => [count(number), number ? "warn" : ""];
  const rows = seen.routes.map(({ route, recent, total }) => [route, amount(recent.per_second), time(recent.p50), time(recent.p99), time(recent.p999),
    warn(recent.refused), warn(recent.failed), count(total.requests), time(total.p99), count(total.refused), count(total.failed)]);
  const heads = ["Route", "Per second", "50 %", "99 %", "99.9 %", "Refused", "Failed", "Since the start", "99 %", "Refused", "Failed"];
  const caption = `In the last ${lasting(Math.max(1, seen.window_seconds))}, and since the start`;
  byId("routes").replaceChildren(table(caption, heads, rows), make("p", { class: "note" },
    "Refused: no token, too large, or no room (401, 413, 503). Failed: any other status from 500 on."));
}

export function show(overview) {
  [shown, values, moved, traffic].forEach((part) => part(overview));
}

// A user's answer, beside that of the version before.
export function user({ live, before }) {
  const known = live.found ? `is ${live.status}` : `is not in version ${live.version}${live.fallback ? `: means stand in (${live.fallback})` : ""}`;
  const then = !before ? "There is no version before." : before.found ? `Before, in ${before.version}: ${before.status}.` : `Not in ${before.version}, the version before.`;
  const rows = (live.horizons.length ? live : before).horizons.map(({ days }) => {
    const of = (lookup) => (lookup ? lookup.horizons.find((horizon) => horizon.days === days) : undefined);
    const [now, old] = [of(live), of(before)];
    const interval = now && now.p10 !== undefined ? `${amount(now.p10)} to ${amount(now.p90)}` : "–";
    const chance = now && now.positive !== undefined ? share(now.positive, 1) : "–";
    const median = now && now.p50 !== undefined ? amount(now.p50) : "–";
    return [`${days} days`, amount(now && now.ltv), interval, median, chance, amount(old && old.ltv), change(now && now.ltv, old && old.ltv)];
  });
  const heads = ["Horizon", "Value", "80 % lie in", "Median", "Above 0", "Value before", "Change"];
  return [make("p", { class: "note" }, `User ${live.user_id} ${known}. ${then}`), table(`User ${live.user_id}, as of ${live.as_of}`, heads, rows)];
}
