// Shows the OpenAPI document of this server, and sends requests by hand. All texts are put in as text.
"use strict";

const byId = (id) => document.getElementById(id);

function make(tag, text, ...children) {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

function headers(more) {
  const token = byId("token").value.trim();
  return token ? { Authorization: `Bearer ${token}`, ...more } : { ...more };
}

// What a schema is, in one line.
function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.oneOf) return schema.oneOf.map(kind).join(" or ");
  if (schema.allOf) return schema.allOf.map(kind).join(" and ");
  const type = [].concat(schema.type || "any").join(" or ");
  if (type === "array") return `list of ${kind(schema.items)}`;
  return schema.format ? `${type} (${schema.format})` : type;
}

function table(heads, rows) {
  const head = make("tr", "", ...heads.map((text) => make("th", text)));
  const body = rows.map((cells) => {
    const tds = cells.map((text, i) => (i ? make("td", text) : make("td", "", make("code", text))));
    return make("tr", "", ...tds);
  });
  return make("table", "", make("thead", "", head), make("tbody", "", ...body));
}

// Fields of a type, those of the types that it is made of among them.
function fields(schema) {
  const own = Object.entries(schema.properties || {}).map(([name, of]) => {
    const needed = (schema.required || []).includes(name) ? "always" : "maybe";
    return [name, kind(of), needed, of.description || ""];
  });
  return [...(schema.allOf || []).flatMap((part) => (part.$ref ? [] : fields(part))), ...own];
}

function type(name, schema) {
  const article = make("article", "", make("h3", name), make("p", schema.description || kind(schema)));
  const parts = (schema.allOf || []).filter((part) => part.$ref).map(kind);
  if (parts.length) article.append(make("p", `With all fields of ${parts.join(" and ")}.`));
  const rows = fields(schema);
  if (rows.length) article.append(table(["field", "type", "there", "meaning"], rows));
  return article;
}

async function send(method, path, body, into) {
  into.textContent = "...";
  try {
    const type = body === undefined ? {} : { "Content-Type": "application/json" };
    const response = await fetch(path, { method, body, headers: headers(type) });
    const text = await response.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* Text that is not JSON is shown as it is. */ }
    into.textContent = `${response.status} ${response.statusText}\n${shown}`;
  } catch (error) {
    into.textContent = String(error);
  }
}

function trial(method, path, operation) {
  const form = make("form", "");
  const inputs = (operation.parameters || []).map((parameter) => {
    const input = make("input");
    input.required = true;
    form.append(make("label", `${parameter.name} `, input));
    return [parameter.name, input];
  });
  let body;
  if (operation.requestBody) {
    body = make("textarea", path.endsWith("batch") ? '{"user_ids": [1, 2, 3]}' : '{"features": {}}');
    form.append(make("label", "body", body));
  }
  const answer = make("pre");
  answer.hidden = true;
  form.append(make("button", "Send"), answer);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    answer.hidden = false;
    const filled = inputs.reduce((at, [name, input]) => at.replace(`{${name}}`, () => encodeURIComponent(input.value)), path);
    send(method.toUpperCase(), filled, body && body.value, answer);
  });
  return make("details", "", make("summary", "Try it"), form);
}

function operation(path, method, of) {
  const title = make("h3", "", Object.assign(make("span", method), { className: "method" }), ` ${path}`);
  const article = make("article", "", title, make("p", of.summary || of.description || ""));
  const parameters = (of.parameters || []).map((p) => [p.name, `${p.in}, ${kind(p.schema)}`, p.description || ""]);
  if (parameters.length) article.append(table(["parameter", "type", "meaning"], parameters));
  const content = (of.requestBody || {}).content || {};
  const bodies = Object.entries(content).map(([type, body]) => [type, kind(body.schema)]);
  if (bodies.length) article.append(table(["body", "type"], bodies));
  const answers = Object.entries(of.responses).map(([status, response]) => {
    const [first] = Object.values(response.content || {});
    return [status, kind(first && first.schema), response.description];
  });
  article.append(table(["status", "body", "meaning"], answers), trial(method, path, of));
  return article;
}

async function load() {
  byId("failure").textContent = "";
  const response = await fetch("/openapi.json", { headers: headers() });
  if (!response.ok) {
    const problem = await response.json();
    byId("failure").textContent = `${problem.title}: ${problem.detail}`;
    return;
  }
  const document = await response.json();
  byId("description").textContent = `${document.info.description} Version ${document.info.version}, OpenAPI ${document.openapi}.`;
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, of]) => operation(path, method, of)));
  byId("operations").replaceChildren(make("h2", "Requests"), ...operations);
  const types = Object.entries(document.components.schemas).map(([name, schema]) => type(name, schema));
  byId("types").replaceChildren(make("h2", "Types"), ...types);
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  load();
});
load();
