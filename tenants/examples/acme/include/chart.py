"""A page with a bar chart, as one HTML file that opens anywhere."""

from __future__ import annotations

from html import escape


def bar_page(title: str, bars: list[tuple[str, float]], unit: str, note: str) -> str:
    top = max((value for _, value in bars), default=1) or 1
    rows = "".join(
        f'<g transform="translate(0 {at * 34})"><text x="150" y="20" text-anchor="end">{escape(label)}</text>'
        f'<rect x="160" y="4" width="{value / top * 440:.1f}" height="24" rx="3"/>'
        f'<text x="{168 + value / top * 440:.1f}" y="20">{value:,.0f} {escape(unit)}</text></g>'
        for at, (label, value) in enumerate(bars)
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        "<style>body{font:16px system-ui;margin:2rem;color:#222}svg{font-size:14px}rect{fill:#2b7a78}</style>"
        f"<h1>{escape(title)}</h1>"
        f'<svg viewBox="0 0 760 {len(bars) * 34 + 8}" width="760" role="img">{rows}</svg><p>{escape(note)}</p></html>'
    )
