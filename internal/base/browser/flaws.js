(() => {
  const flaws = [];
  const name = (e) => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + (e.classList.length ? "." + [...e.classList].join(".") : "");
  const room = document.documentElement.clientWidth; // without the scroll bar
  const wide = document.documentElement.scrollWidth - room;
  if (wide > 0) {
    const out = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > room + 1);
    flaws.push(`the page is ${wide} px wider than the window: ${out.slice(0, 3).map(name).join(", ")}`);
  }
  const rgba = (text) => {
    const n = text.match(/[\d.]+/g).map(Number);
    return [n[0], n[1], n[2], n.length > 3 ? n[3] : 1];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const ground = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) layers.push(rgba(getComputedStyle(e).backgroundColor));
    const page = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
    return layers.reverse().reduce((below, top) => over(top, below), page);
  };
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const seen = new Set();
  for (const e of document.body.querySelectorAll("*")) {
    const style = getComputedStyle(e);
    const box = e.getBoundingClientRect();
    if ((e.scrollWidth > e.clientWidth + 1) && /auto|scroll/.test(style.overflowX) && e.clientWidth > 1 && e.tabIndex < 0)
      flaws.push(`${name(e)} scrolls, and the keyboard does not reach it`);
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !box.width || !box.height || style.visibility === "hidden" || box.right < 0 || box.width <= 1) continue;
    const below = ground(e);
    const ink = over(rgba(style.color), below);
    const [a, b] = [light(ink), light(below)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const key = `${name(e)} has a contrast of ${ratio.toFixed(2)}`;
    if (ratio < 4.5 && !seen.has(key)) { seen.add(key); flaws.push(key); }
  }
  let last = 0;
  for (const h of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    const level = Number(h.tagName[1]);
    if (level > last + 1) flaws.push(`${name(h)} "${h.textContent.trim().slice(0, 40)}" follows a heading of level ${last}`);
    last = level;
  }
  if (document.querySelectorAll("main").length !== 1) flaws.push("there is not one main part");
  if (!document.documentElement.lang) flaws.push("the language is not said");
  for (const t of document.querySelectorAll("table"))
    if (!t.caption && !t.closest("[aria-label], [aria-labelledby]")) flaws.push("a table has no name");
  return flaws;
})()
