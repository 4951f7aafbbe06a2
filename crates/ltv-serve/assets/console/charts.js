// Drawings: how values are spread, and how something went in the last minutes.

import { amount, count, draw, share } from "/console/words.js";

const WIDTH = 560;
const HEIGHT = 210;
const FLOOR = 180; // Where bars stand.
const LEFT = 52; // Where values above zero begin: zeros stand apart.

// Powers of ten within a range, few enough to be read.
function powers(from, to) {
  const [first, last] = [Math.ceil(Math.log10(from)), Math.floor(Math.log10(to))];
  const every = Math.max(1, Math.ceil((last - first + 1) / 8));
  const all = [];
  for (let power = first; power <= last; power += every) all.push(power);
  return all;
}

// Each bin as [from, to, share of all users].
function bins(spread, users) {
  return spread.counts.map((number, i) => [spread.edges[i], spread.edges[i + 1], number / users]);
}

// The values of a horizon as bars on a logarithmic axis; those of the version before as a line over them.
export function histogram(now, users, old, usersBefore) {
  const summary = `Values above zero from ${amount(now.edges[0])} to ${amount(now.largest)}; half of ${count(users)} users are at or below ${amount(now.p50)}`;
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": summary });
  const bars = bins(now, users);
  const line = old && usersBefore ? bins(old, usersBefore) : [];
  const all = [...bars, ...line];
  const from = all.length ? Math.min(...all.map((bin) => bin[0])) : 1;
  const to = all.length ? Math.max(...all.map((bin) => bin[1])) : 10;
  const highest = Math.max(...all.map((bin) => bin[2]), 1e-9);
  const x = (value) => LEFT + ((WIDTH - LEFT) * Math.log(value / from)) / Math.log(to / from);
  const y = (part) => FLOOR - (FLOOR - 14) * part;
  for (const [start, end, part] of bars.filter((bin) => bin[2] > 0)) {
    const [left, top] = [x(start), y(part / highest)];
    const title = draw("title", {}, `above ${amount(start)}, up to ${amount(end)}: ${share(part, 1)} of users`);
    const size = { x: left, y: top, width: Math.max(1, x(end) - left - 1), height: FLOOR - top };
    svg.append(draw("rect", { class: "bar", ...size }, title));
  }
  svg.append(...zeros(now, users, old, usersBefore));
  if (line.length) {
    const steps = line.map(([start, end, part]) => `L${x(start)} ${y(part / highest)}L${x(end)} ${y(part / highest)}`);
    const last = line[line.length - 1][1];
    svg.append(draw("path", { class: "old", d: `M${x(line[0][0])} ${FLOOR}${steps.join("")}L${x(last)} ${FLOOR}` }));
  }
  svg.append(draw("line", { class: "base", x1: LEFT, x2: WIDTH, y1: FLOOR, y2: FLOOR }));
  for (const power of powers(from, to)) {
    const at = x(10 ** power);
    svg.append(draw("line", { class: "base", x1: at, x2: at, y1: FLOOR, y2: FLOOR + 4 }));
    svg.append(draw("text", { x: at, y: FLOOR + 18, "text-anchor": "middle" }, amount(10 ** power)));
  }
  if (now.mean > 0 && now.mean >= from && now.mean <= to) {
    svg.append(draw("line", { class: "mark", x1: x(now.mean), x2: x(now.mean), y1: 2, y2: FLOOR }));
  }
  return svg;
}

// Zeros as a share of all users, on a scale of their own: there may be many more than in any bin.
function zeros(now, users, old, usersBefore) {
  const part = users ? now.zeros / users : 0;
  const top = (share) => FLOOR - (FLOOR - 14) * share;
  const title = draw("title", {}, `exactly 0: ${share(part, 1)} of users`);
  const bar = draw("rect", { class: "bar zero", x: 4, y: top(part), width: 28, height: FLOOR - top(part) }, title);
  const drawn = [bar, draw("line", { class: "base", x1: 0, x2: 36, y1: FLOOR, y2: FLOOR })];
  drawn.push(draw("text", { x: 18, y: FLOOR + 18, "text-anchor": "middle" }, "0"));
  if (old && usersBefore) {
    const at = top(old.zeros / usersBefore);
    drawn.push(draw("path", { class: "old", d: `M2 ${at}H34` }));
  }
  return drawn;
}

// The last minutes as a line from zero; nulls are gaps.
export function sparkline(values, summary) {
  const [width, height] = [560, 90];
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": summary });
  const highest = Math.max(...values.map((value) => value || 0), 1e-12);
  const x = (i) => width - ((values.length - 1 - i) * width) / 59;
  const y = (value) => height - 4 - ((height - 10) * value) / highest;
  let path = "";
  values.forEach((value, i) => {
    if (value === null) return;
    const begins = i === 0 || values[i - 1] === null;
    // A point by itself is a short dash.
    path += `${begins ? "M" : "L"}${x(i)} ${y(value)}${begins ? "h0.1" : ""}`;
  });
  svg.append(draw("line", { class: "base", x1: 0, x2: width, y1: height - 3, y2: height - 3 }));
  svg.append(draw("path", { class: "trace", d: path, "stroke-linecap": "round" }));
  return svg;
}
