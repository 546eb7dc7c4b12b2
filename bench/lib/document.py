# SPDX-License-Identifier: MIT
"""The tables and pictures of README.md and docs/bench.md, from bench.json.

What stands between "<!-- begin NAME -->" and "<!-- end NAME -->" is ours.
"""
import os
import re
import textwrap

import picture

SHOWN = {"on": "preload", "off": "preload, descriptors", "plain": "plain",
         "expert": "plain, tuned", "on+exp": "preload, tuned",
         "limit": "a program of libmegapipe"}


def good(saved):
    return {k: r for k, r in saved["rows"].items() if r["summary"]}


def loads(saved):
    """Rows whose cost can be compared: plain first, preload second."""
    return {k: r for k, r in good(saved).items()
            if list(r["summary"])[:2] == ["plain", "on"] and
            "cpu" in r["summary"]["on"]}


def where(rows):
    """Machine, kernel and dates of what is shown."""
    machines = [r["machine"] for r in rows.values()]
    dates = sorted({m["date"] for m in machines})
    last = machines[-1]
    return (f'{last["cpu"]}, {last["cpus"]} CPUs, Linux {last["kernel"]}, '
            f'{" to ".join(dict.fromkeys((dates[0], dates[-1])))}')


def scale(saved):
    rows = {k: r for k, r in loads(saved).items() if "scale" in r["row"]}
    series = {SHOWN[side]: [r["summary"][side]["cpu"] for r in rows.values()]
              for side in ("plain", "on", "off")
              if all(side in r["summary"] for r in rows.values())}
    return [r["row"]["scale"] for r in rows.values()], series, rows


def pictures(saved, directory, prefix="bench"):
    rows = loads(saved)
    if rows:
        pairs = [(r["row"]["title"], r["summary"]["on"]["cpu_ratio"])
                 for r in rows.values()]
        write(os.path.join(directory, prefix + ".svg"),
              picture.bars(pairs, where(rows)))
    names, series, rows = scale(saved)
    if len(names) > 1:
        write(os.path.join(directory, prefix + "-scale.svg"),
              picture.scale(names, series, where(rows)))


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def table(head, lines):
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(out + ["| " + " | ".join(x) + " |" for x in lines])


# Less than this is said in a sentence of its own; nearer to 1 is noise.
BELOW = 0.99


def tabled(r):
    """In the README's table: not what the picture or a fixed rate shows."""
    return "scale" not in r["row"] and "@RATE@" not in r["row"]["client"]


def below(rows, depths):
    """The workloads that are slower than plain at a depth, in words."""
    out = []
    for r in rows:
        for depth in depths:
            s = r["summary"].get(depth)
            if s and min(s["cpu_ratio"], s["rate_ratio"]) < BELOW:
                out.append(f'{r["row"]["title"]}'
                           f'{" with descriptors" if depth == "off" else ""}'
                           f' (CPU {s["cpu_ratio"]:.2f}, requests/s '
                           f'{s["rate_ratio"]:.2f})')
    return "; ".join(out) or "none"


def noise(saved):
    """What the control row says, in words."""
    return "".join(" A preload that does nothing: CPU "
                   f'{r["summary"]["empty"]["cpu_ratio"]:.2f}, requests/s '
                   f'{r["summary"]["empty"]["rate_ratio"]:.2f}; that is the '
                   "machine's noise."
                   for r in good(saved).values() if "empty" in r["summary"])


def short_below(saved):
    """For the README: what its table doesn't show."""
    rows = [r for r in loads(saved).values() if not tabled(r)]
    return textwrap.fill(
        "A ratio under 1.00 is slower than plain. Of the rows that only "
        "docs/bench.md has, which also has both depths, these are: "
        f'{below(rows, ("on",))}.{noise(saved)}',
        80)


def long_below(saved):
    rows = loads(saved).values()
    return textwrap.fill(f'Slower than plain: {below(rows, ("on", "off"))}.'
                         f"{noise(saved)}", 80)


def short_table(saved):
    """For the README: one line a row, without those of the picture."""
    lines = []
    for r in filter(tabled, loads(saved).values()):
        plain, on = r["summary"]["plain"], r["summary"]["on"]
        lines.append([r["row"]["title"], f'{plain["rate"]:.0f}',
                      f'{on["rate"]:.0f}', f'{on["rate_ratio"]:.2f}',
                      f'{plain["cpu"]:.2f}', f'{on["cpu"]:.2f}',
                      f'{on["cpu_ratio"]:.2f}'])
    return table(["workload", "requests/s plain", "preload", "ratio",
                  "CPU us/request plain", "preload", "ratio"], lines)


FIELDS = (("rate", "requests/s", ".0f"), ("rate_ratio", "ratio", ".2f"),
          ("cpu", "CPU us", ".2f"), ("cpu_min", "min", ".2f"),
          ("cpu_max", "max", ".2f"), ("user", "user", ".2f"),
          ("system", "system", ".2f"), ("cpu_ratio", "ratio", ".2f"),
          ("p50", "p50 us", ".0f"), ("p99", "p99 us", ".0f"),
          ("calls", "calls", ".2f"), ("enters", "enters", ".2f"),
          ("memory", "MiB", ".1f"))


def long_table(saved):
    lines = []
    for r in good(saved).values():
        title = r["row"]["title"]
        for side, s in r["summary"].items():
            if "cpu" in s:
                lines.append([title, SHOWN.get(side, side)] +
                             [f"{s[k]:{f}}" if k in s else ""
                              for k, _, f in FIELDS])
                title = ""
    return table(["workload", "side"] + [t for _, t, _ in FIELDS], lines)


def other_table(saved):
    """Rows of another kind: medians with min and max, and what is more."""
    lines = []
    for r in good(saved).values():
        title = r["row"]["title"]
        for side, s in r["summary"].items():
            for key, unit in r["units"].items():
                lines.append([title, SHOWN.get(side, side), key,
                              f"{s[key]:.2f} {unit}",
                              f'{s[key + "_min"]:.2f} to '
                              f'{s[key + "_max"]:.2f}',
                              f'{s[key + "_more"]:+.2f}'])
                title = ""
    return table(["what", "side", "of", "median", "min and max",
                  "beyond the first"], lines)


def told(saved, rows):
    """What a table's reader has to know."""
    how = {(r["how"]["rounds"], r["how"]["seconds"]) for r in rows.values()}
    rounds = ", ".join(f"{n} rounds of {s:g} s" for n, s in sorted(how))
    trees = ", ".join(sorted({r["tree"] for r in rows.values()}))
    failed = [r["row"]["title"] for r in saved["rows"].values()
              if r["errors"]]
    text = f"{where(rows)}; medians of {rounds}; tree {trees}."
    if failed:
        text += " Failed: " + ", ".join(failed) + "."
    return textwrap.fill(text, 80)


def replace(path, blocks):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for name, block in blocks.items():
        text = re.sub(f"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)",
                      lambda m, b=block: m.group(1) + b + "\n" + m.group(2),
                      text, flags=re.S)
    write(path, text)


def update(saved, root):
    docs = os.path.join(root, "docs")
    pictures(saved, docs)
    rows = good(saved)
    replace(os.path.join(docs, "bench.md"),
            {"machine": told(saved, rows), "loads": long_table(saved),
             "slower": long_below(saved), "others": other_table(saved)})
    short = loads(saved)
    replace(os.path.join(root, "README.md"),
            {"bench": f"{short_table(saved)}\n\n{told(saved, short)}\n"
                      f"{short_below(saved)}"})
