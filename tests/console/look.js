// What tests ask of a page, run inside it.
({
  // The contrast of every text with what is behind it (WCAG 1.4.3), and what it says.
  contrast: () => {
  const rgb = (c) => (c.match(/[\d.]+/g) || []).map(Number);
  const lum = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim(), e = walk.currentNode.parentElement;
    if (!text || ["SCRIPT", "STYLE", "OPTION", "NOSCRIPT"].includes(e.tagName) || !e.checkVisibility({ visibilityProperty: true })) continue;
    const style = getComputedStyle(e);
    if (style.clipPath !== "none" || e.closest(".unseen, .skip")) continue;
    let ground = e, back = null;
    while (ground) { const c = rgb(getComputedStyle(ground).backgroundColor); if (c.length && (c.length < 4 || c[3] === 1)) { back = c; break; } ground = ground.parentElement; }
    const ink = rgb(style.color);
    if (ink[3] === 0) continue;
    const [a, b] = [lum(ink), lum(back || [255, 255, 255])].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
},
  // What can be reached by the keyboard without a name that is read out.
  nameless: () => [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary, [tabindex]")]
  .filter((e) => e.checkVisibility() && !(e.textContent.trim() || e.getAttribute("aria-label") || (e.labels && e.labels.length)) && e.id !== "main")
  .map((e) => e.outerHTML.slice(0, 120)),
  // A row of a chart's pixels: 1 where it is reddish.
  shaded: (figure) => {
  const canvas = figure.querySelector("canvas"), c = canvas.getContext("2d");
  const { width, height } = canvas, found = [];
  for (let x = 0; x < width; x += 4) {
    const [r, g, b, a] = c.getImageData(x, Math.round(height * 0.3), 1, 1).data;
    found.push(a > 0 && r > g + 8 && r > b + 8 ? 1 : 0);
  }
  return found;
},
})
