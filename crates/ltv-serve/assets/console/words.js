// Numbers and times as people read them, and elements made of text: nothing is ever made of markup.

const SVG = "http://www.w3.org/2000/svg";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });

export const byId = (id) => document.getElementById(id);

export function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const count = (number) => whole.format(number);
export const amount = (number) => (number === null || number === undefined ? "–" : short.format(number));

export function share(part, all) {
  if (!all) return "–";
  const percent = (100 * part) / all;
  return percent > 0 && percent < 0.1 ? "< 0.1 %" : `${percent.toFixed(1)} %`;
}

// How far a number has moved, in per cent of what it was.
export function change(now, before) {
  if (now === null || before === null || now === undefined || before === undefined) return "–";
  if (now === before) return "0.0 %";
  if (before === 0) return "from 0";
  const percent = 100 * (now / before - 1);
  return `${percent < 0 ? "−" : "+"}${Math.abs(percent).toFixed(1)} %`;
}

const UNITS = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];

export function lasting(seconds) {
  const [size, unit] = UNITS.find(([size]) => seconds >= 2 * size) || UNITS[3];
  const number = Math.floor(seconds / size);
  return `${number} ${unit}${number === 1 ? "" : "s"}`;
}

// A time of a request. Whatever is longer than the last bin's beginning is known as that.
export function time(seconds) {
  if (seconds === null) return "–";
  if (seconds >= 5) return "5 s or more";
  return seconds >= 1 ? `${amount(seconds)} s` : `${Number((1000 * seconds).toPrecision(3))} ms`;
}

// Rows are lists of texts or of [text, class] pairs; the first cell of each names the row.
export function table(caption, heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const cell = (content, i) => {
    const [text, kind] = Array.isArray(content) ? content : [content, ""];
    if (i === 0) return make("th", { scope: "row" }, text);
    return make("td", kind ? { class: kind } : {}, text);
  };
  const body = rows.map((cells) => make("tr", {}, ...cells.map(cell)));
  const whole = make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, whole);
}
