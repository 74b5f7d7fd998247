"""Draws lines over a logarithmic axis as SVG, with nothing but text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

_WIDTH: Final = 640
_HEIGHT: Final = 320
_LEFT: Final = 60
_TOP: Final = 24
_RIGHT: Final = 190
_BOTTOM: Final = 44
_COLOURS: Final = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d68910")


def svg(
    title: str, x_title: str, lines: Mapping[str, Sequence[tuple[float, float]]], least_top: float
) -> str:
    """Draw lines.

    Args:
        title: Above them.
        x_title: Below the axis.
        lines: Points by name; x is positive and drawn by its logarithm, y from 0.
        least_top: What the vertical axis reaches at least.
    """
    points = [point for line in lines.values() for point in line]
    low, high = (math.log10(each(x for x, _ in points)) for each in (min, max))
    top = max(least_top, max(y for _, y in points) * 1.1)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low) / ((high - low) or 1)
        return (
            _LEFT + across * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - y / top * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-size="12">',
        "<style>text { font-family: sans-serif }</style>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="15" font-weight="bold">{title}</text>',
    ]
    for number in range(5):
        value = top * number / 4
        _, y = place(10**low, value)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for x_value in sorted({x for x, _ in points}):
        x, y = place(x_value, 0)
        parts.append(f'<text x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle">{x_value:,.0f}</text>')
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{x_title}</text>'
    )
    for number, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = _WIDTH - _RIGHT + 14, _TOP + 20 + 20 * number
        parts.append(f'<path d="M{x} {y - 4}h16" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 22}" y="{y}">{name}</text>')
    return "\n".join((*parts, "</svg>", ""))
