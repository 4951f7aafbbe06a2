"use strict";
(() => {
  const root = document.documentElement;
  const options = JSON.parse(document.getElementById("options").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const charts = [];

  // Numbers for people, as in the tables: three significant digits.
  const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3, notation: "compact" });
  const plain = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
  const formats = {
    number: (v) => (v == null || v === "-" || Number.isNaN(+v) ? "–" : Math.abs(v) < 1e6 ? plain.format(v) : short.format(v)),
    percent: (v) => (v == null || Number.isNaN(+v) ? "–" : plain.format(100 * v) + " %"),
    text: String,
  };
  const escape = (text) =>
    String(text).replace(/[&<>"']/g, (c) => "&#" + c.charCodeAt(0) + ";");

  // What options name instead of holding: formatters and ways to draw.
  const formatters = {
    number: () => formats.number,
    percent: () => formats.percent,
    tip: () => (p) => (p.data && p.data.tip ? row(p.marker, p.seriesName, "") + escape(p.data.tip) : ""),
    axis: (spec, option) => (points) => {
      const seen = points.filter((p) => p.seriesName && p.value != null);
      if (!seen.length) return "";
      const value = (p) => (Array.isArray(p.value) ? p.value[1] : p.value);
      const axis = (p) => option.series[p.seriesIndex].yAxisIndex || 0;
      const head = (formats[spec.x] || String)(points[0].axisValue);
      const name = (p) => p.seriesName + (axis(p) ? ", ratio" : "") + (option.series[p.seriesIndex].label ? ", " + option.series[p.seriesIndex].label : "");
      return "<b>" + escape(head) + "</b>" +
        seen.map((p) => "<br>" + row(p.marker, name(p), formats[spec.y[axis(p)]](value(p)))).join("");
    },
  };
  const row = (marker, name, value) =>
    marker + escape(name) + (value === "" ? "<br>" : '<b style="float:right;margin-left:1.5em">' + escape(value) + "</b>");

  const stroke = (api) => ({ stroke: api.visual("color"), lineWidth: 1.5, fill: "none" });
  const drawers = {
    // A line with caps from dimension 1 to 2, at dimension 0 of the other axis.
    whisker: (spec) => (params, api) => {
      const at = (v) => api.coord(spec.horizontal ? [v, api.value(0)] : [api.value(0), v]);
      const [x1, y1] = at(api.value(1)), [x2, y2] = at(api.value(2));
      const [dx, dy] = spec.horizontal ? [0, 4] : [4, 0];
      const line = (a, b, c, d) => ({ type: "line", shape: { x1: a, y1: b, x2: c, y2: d }, style: stroke(api) });
      return { type: "group", children: [
        line(x1, y1, x2, y2),
        line(x1 - dx, y1 - dy, x1 + dx, y1 + dy),
        line(x2 - dx, y2 - dy, x2 + dx, y2 + dy),
      ] };
    },
    // The area between two lines of the same chart.
    band: (spec, option) => (params, api) => {
      const side = (i) => option.series[i].data.map((p) => api.coord(p));
      const points = side(spec.between[0]).concat(side(spec.between[1]).reverse());
      return { type: "polygon", shape: { points }, style: { fill: api.visual("color"), opacity: 0.22 } };
    },
    // A bar over the bin from dimension 0 to 1.
    bin: () => (params, api) => {
      const [left, top] = api.coord([api.value(0), api.value(2)]);
      const [right, bottom] = api.coord([api.value(1), 0]);
      const gap = right - left > 3 ? 1 : 0;
      return { type: "rect", style: { fill: api.visual("color") },
        shape: { x: left, y: top, width: Math.max(right - left - gap, 0.5), height: bottom - top } };
    },
  };

  // A copy of the option with colours of the theme and functions put in.
  const colorKeys = new Set(["color", "borderColor"]);
  const resolve = (value, key, color, option) => {
    if (typeof value === "string") return colorKeys.has(key) && value[0] === "@" ? color(value.slice(1)) : value;
    if (value === null || typeof value !== "object") return value;
    if (key === "formatter") return formatters[value.use](value, option);
    if (key === "renderItem") return drawers[value.use](value, option);
    if (Array.isArray(value)) return value.map((v) => resolve(v, key === "data" ? "" : key, color, option));
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, resolve(v, k, color, option)]));
  };

  const list = (value) => (Array.isArray(value) ? value : value ? [value] : []);
  const text = (color) => ({ color: color("muted"), fontSize: 12 });

  const dress = (option, color, width) => {
    const base = { left: 4, right: 18, bottom: 4, top: option.legend ? 40 : 12, outerBoundsMode: "same", outerBoundsContain: "all" };
    option.grid = option.grid ? option.grid.map((g) => ({ ...base, ...g })) : base;
    for (const [axes, gap] of [[list(option.xAxis), 28], [list(option.yAxis), 46]]) {
      for (const axis of axes) {
        const ends = { nameLocation: "middle", nameGap: gap, nameTextStyle: text(color) };
        const label = { ...text(color), hideOverlap: true };
        if (axis.names) Object.assign(label, { width: Math.min(200, 0.36 * width), overflow: "truncate", hideOverlap: false });
        delete axis.names;
        const category = axis.type === "category";
        axis.axisLabel = { ...label, ...axis.axisLabel };
        axis.axisLine = { show: category || axis.type === "log", lineStyle: { color: color("line") } };
        axis.axisTick = { show: false };
        axis.splitLine = { show: !category, ...axis.splitLine, lineStyle: { color: color("line") } };
        axis.minorTick = { show: false };
        if (axes[0] === list(option.xAxis)[0]) Object.assign(axis.axisLabel, { alignMinLabel: "left", alignMaxLabel: "right" });
        if (width < 480 && !category) axis.splitNumber = 3;
        Object.assign(axis, { ...ends, ...axis });
      }
    }
    if (option.legend) Object.assign(option.legend, {
      type: "scroll", left: 0, top: 0, itemWidth: 18, itemHeight: 10, itemGap: 14, pageIconSize: 11,
      textStyle: { color: color("ink"), fontSize: 12, width: 200, overflow: "truncate" }, inactiveColor: color("axis"),
      pageTextStyle: text(color), pageIconColor: color("accent"), pageIconInactiveColor: color("line"),
    });
    Object.assign(option.tooltip, {
      confine: true, backgroundColor: color("card"), borderColor: color("line"), padding: [8, 12],
      textStyle: { color: color("ink"), fontSize: 12 },
      extraCssText: "max-width:min(22rem,80vw);white-space:normal;font-variant-numeric:tabular-nums",
      axisPointer: { lineStyle: { color: color("axis") } },
    });
    return option;
  };

  const paint = (chart) => {
    const style = getComputedStyle(root);
    const color = (name) => style.getPropertyValue("--" + name).trim();
    const raw = options[chart.id];
    const old = chart.plot.getOption();
    const option = dress(resolve(raw, "", color, raw), color, chart.host.clientWidth);
    if (old && old.legend && old.legend[0] && option.legend) option.legend.selected = old.legend[0].selected;
    option.animation = false;
    option.textStyle = { fontFamily: getComputedStyle(document.body).fontFamily };
    option.aria = { enabled: true, label: { description: chart.label } };
    chart.plot.setOption(option, true);
  };

  const draw = (host) => {
    const id = host.parentElement.dataset.chart;
    const chart = { id, host, label: host.getAttribute("aria-label"), width: host.clientWidth };
    chart.plot = echarts.init(host, null, { renderer: "svg" });
    paint(chart);
    charts.push(chart);
    new ResizeObserver(() => {
      if (!host.clientWidth || host.clientWidth === chart.width || printing) return;
      chart.width = host.clientWidth;
      chart.plot.resize();
      paint(chart);
    }).observe(host);
  };

  // In order of the page, a few at a time: the first screen is there at once, and scrolling stays smooth.
  const hosts = [...document.querySelectorAll("[data-chart] > .plot")];
  let printing = false;
  const drawUntil = (end) => {
    while (hosts.length && performance.now() < end) draw(hosts.shift());
    if (hosts.length) setTimeout(() => drawUntil(performance.now() + 12));
    else root.dataset.drawn = "yes";
  };
  drawUntil(performance.now() + 60);

  // Theme: as the system says until somebody presses the switch.
  const button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const themed = () => {
    button.textContent = isDark() ? "Light theme" : "Dark theme";
    charts.forEach(paint);
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    themed();
  });
  dark.addEventListener("change", themed);
  button.textContent = isDark() ? "Light theme" : "Dark theme";

  // Paper is light, and drawings shrink with it.
  let screenTheme;
  addEventListener("beforeprint", () => {
    printing = true;
    while (hosts.length) draw(hosts.shift());
    screenTheme = root.dataset.theme;
    root.dataset.theme = "light";
    for (const chart of charts) {
      paint(chart);
      const svg = chart.host.querySelector("svg");
      if (svg) svg.setAttribute("viewBox", "0 0 " + chart.plot.getWidth() + " " + chart.plot.getHeight());
    }
  });
  addEventListener("afterprint", () => {
    printing = false;
    if (screenTheme) root.dataset.theme = screenTheme;
    else delete root.dataset.theme;
    for (const chart of charts) {
      const svg = chart.host.querySelector("svg");
      if (svg) svg.removeAttribute("viewBox");
    }
    themed();
  });

  // Where in the page one is.
  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const spy = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const [id, link] of links) {
        if (id === entry.target.id) {
          link.setAttribute("aria-current", "true");
          const bar = link.parentElement;
          bar.scrollLeft = link.offsetLeft - (bar.clientWidth - link.offsetWidth) / 2;
        } else link.removeAttribute("aria-current");
      }
    }
  }, { rootMargin: "-20% 0px -75% 0px" });
  document.querySelectorAll("main > section").forEach((section) => spy.observe(section));

  for (const copy of document.querySelectorAll("[data-copy]")) {
    copy.addEventListener("click", async () => {
      const pre = copy.nextElementSibling;
      try {
        await navigator.clipboard.writeText(pre.textContent);
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(pre);
        copy.textContent = "Selected: press Ctrl+C";
      }
      setTimeout(() => { copy.textContent = "Copy"; }, 2000);
    });
  }
})();
