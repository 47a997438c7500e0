"""How far texts stand out from their ground, as WCAG 2.2 (1.4.3) measures it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

_FIND = """() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a));
  const ground = (element) => {
    if (!element) return [255, 255, 255];
    const color = parts(getComputedStyle(element).backgroundColor);
    return color[3] === 0 ? ground(element.parentElement) : over(color, ground(element.parentElement));
  };
  const light = (color) => {
    const [r, g, b] = color.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
    if (!text || !element.checkVisibility() || element.closest("svg title, svg desc, noscript")) continue;
    const style = getComputedStyle(element);
    const color = parts(element.closest("svg") ? style.fill : style.color);
    const [a, b] = [light(over(color, ground(element))), light(ground(element))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (isLarge ? 3 : 4.5)) found.push({ text: text.slice(0, 40), ratio: Math.round(ratio * 100) / 100 });
  }
  return found;
}"""


def too_faint(page: Page) -> list[dict[str, Any]]:
    """Every visible text with less than 4.5:1 (3:1 where it is large), with its ratio."""
    found: list[dict[str, Any]] = page.evaluate(_FIND)
    return found
