// What is wrong with the page, and what stands in it; a value that the suite `browser` judges.
(() => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  const named = (element) => {
    const text = (element.textContent || "").trim().slice(0, 40);
    return `${element.tagName.toLowerCase()}.${element.getAttribute("class") || ""} "${text}"`;
  };
  const all = [...document.body.querySelectorAll("*")];

  const width = document.documentElement.clientWidth;
  const scrolls = (element) => element.closest(".scroll, pre") !== null;
  const overflow = all
    .filter((element) => !scrolls(element) && !element.closest(".skip"))
    .filter((element) => element.getBoundingClientRect().right > width + 1)
    .map(named);
  if (document.documentElement.scrollWidth > innerWidth) overflow.push("the page");

  const numbers = (color) => (color.match(/[\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => {
      const s = c / 255;
      return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = numbers(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0.5) return color;
    }
    return [255, 255, 255];
  };
  const contrast = [];
  for (const element of all) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || ["title", "style"].includes(element.tagName.toLowerCase())) continue;
    const style = getComputedStyle(element);
    const ink = numbers(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [luminance(ink), luminance(background(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) contrast.push(`${ratio.toFixed(2)} ${named(element)}`);
  }

  const shown = [...document.querySelectorAll("svg:not([aria-hidden])")];
  const pictures = shown
    .filter((svg) => {
      const box = svg.getBoundingClientRect();
      return !svg.getAttribute("aria-label") || box.width < 20 || box.height < 10;
    })
    .map(named);
  const heads = [...document.querySelectorAll("th:not([scope])")].map(named);
  const unreachable = [...document.querySelectorAll(".scroll, pre")]
    .filter((box) => box.scrollWidth > box.clientWidth && box.tabIndex < 0)
    .map(named);

  const headings = [];
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) headings.push(named(heading));
    level = own;
  }

  const sections = {};
  for (const section of document.querySelectorAll("section")) {
    sections[section.id] = {
      tables: section.querySelectorAll("table tbody tr th").length ? section.querySelectorAll("table").length : 0,
      pictures: section.querySelectorAll("svg[role=img]").length,
    };
  }
  return { overflow, contrast, pictures, heads, unreachable, headings, sections };
})()
