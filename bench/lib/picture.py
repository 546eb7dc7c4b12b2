# SPDX-License-Identifier: MIT
"""Two pictures: a bar for each row, and cost against connections."""
from xml.sax.saxutils import escape

BAR, LEFT, UNIT, TOP, LONGEST = 20, 380, 130, 64, 3.2
INK, GREY, PLAIN = "#222", "#666", "#3b6fb6"
BETTER, WORSE = "#2a9d6f", "#c4453c"


def words(x, y, text, more=""):
    return f'<text x="{x}" y="{y}" fill="{INK}" {more}>{escape(text)}</text>'


def frame(width, height, title, below):
    """The beginning of a picture, on white in dark pages too."""
    return [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
            f'height="{height}" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif" font-size="13">',
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            words(12, 22, title, 'font-weight="bold" font-size="15"'),
            f'<text x="12" y="42" fill="{GREY}">{escape(below)}</text>']


def bar(y, title, value):
    length = UNIT * min(value, LONGEST)
    color = BETTER if value >= 0.995 else WORSE
    return [words(LEFT - 8, y + 15, title, 'text-anchor="end"'),
            f'<rect x="{LEFT}" y="{y + 3}" height="{BAR - 6}" '
            f'width="{length:.0f}" fill="{color}"/>',
            words(f"{LEFT + length + 6:.0f}", y + 15, f"{value:.2f}")]


def bars(rows, below):
    """*rows*: pairs of title and plain / preload."""
    height = TOP + BAR * len(rows) + 24
    width = int(LEFT + UNIT * LONGEST + 60)
    out = frame(width, height, "Server CPU per request, plain / preload: "
                "longer is better", below)
    for i, (title, value) in enumerate(rows):
        out += bar(TOP + BAR * i, title, value)
    x = LEFT + UNIT
    out += [f'<line x1="{x}" x2="{x}" y1="{TOP - 2}" y2="{height - 18}" '
            f'stroke="{INK}" stroke-dasharray="3"/>',
            words(x, height - 5, "as plain", 'text-anchor="middle"'),
            "</svg>", ""]
    return "\n".join(out)


def line(points, color, name, at):
    path = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
    dots = [f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{color}"/>'
            for x, y in points]
    return [f'<polyline points="{path}" fill="none" stroke="{color}" '
            'stroke-width="2"/>'] + dots + [
        f'<rect x="{at}" y="56" width="12" height="12" fill="{color}"/>',
        words(at + 18, 67, name)]


def scale(names, series, below):
    """*names* of numbers of connections, *series*: name to us a request."""
    width, height, left, bottom = 640, 340, 60, 290
    most = max(max(values) for values in series.values()) * 1.1
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100) if most / s <= 7)
    out = frame(width, height, "Server CPU per request (us) against "
                "connections: lower is better", below)
    for value in range(0, int(most) + 1, step):
        y = bottom - 200 * value / most
        out += [f'<line x1="{left}" x2="{width - 20}" y1="{y:.0f}" '
                f'y2="{y:.0f}" stroke="#ddd"/>',
                words(left - 8, f"{y + 4:.0f}", str(value),
                      'text-anchor="end"')]
    xs = [left + 40 + (width - left - 110) * i / max(len(names) - 1, 1)
          for i in range(len(names))]
    for x, name in zip(xs, names):
        out.append(words(f"{x:.0f}", bottom + 22, name,
                         'text-anchor="middle"'))
    colors = (PLAIN, BETTER, "#e0972b")
    for i, (name, values) in enumerate(series.items()):
        points = [(x, bottom - 200 * v / most) for x, v in zip(xs, values)]
        out += line(points, colors[i % 3], name, 80 + 170 * i)
    return "\n".join(out + ["</svg>", ""])
