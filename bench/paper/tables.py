# SPDX-License-Identifier: MIT
"""The paper's rows beside ours, as Markdown tables and as a picture."""
import os
import re

import locks

# The paper's Table 3, accumulated percent; the sum agrees with its Figure
# 1(a), the division into parts has no second witness.
LENGTHS = (1, 2, 4, 8, 16, 32, 64, 128)
TABLE3 = {
    "+P": (211.6, 207.5, 181.3, 83.5, 38.9, 29.5, 17.2, 8.8),
    "+B": (18.8, 22.8, 72.4, 44.6, 31.8, 30.4, 27.3, 19.8),
    "+L": (352.1, 230.5, 79.3, 22.0, 9.7, 2.9, 0.4, 0.1),
    "all": (582.4, 460.8, 333.1, 150.1, 80.4, 62.8, 45.0, 28.7),
}
# Its Figure 1(b): gains in throughput at 8 cores, 10 transactions, and where
# the link was full the CPU in percent that epoll and MegaPipe needed for it.
SIZES = {"64": 103, "256": 97, "512": 95, "1024": 55, "2048": 0, "4096": 0,
         "8192": 0, "16384": 0}
SIZES_CPU = {"1024": (90, 60), "2048": (91, 49), "4096": (85, 34),
             "8192": (58, 18), "16384": (34, 13)}
# Its Figure 1(c), gains by cores.
CORES = {"1": 45, "2": 52, "3": 49, "4": 47, "5": 69, "6": 86, "7": 95,
         "8": 104}


def progress(what, sides):
    print(what, flush=True)
    for side, r in sides.items():
        print(f"    {side:20} {r['rate']:9.0f}/s {r['us']:8.2f} us",
              flush=True)


def gain(base, other):
    """Percent more transactions for the same CPU time, rounds compared."""
    return 100 * (base["times"] / other["times"] - 1)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows])


def percents(values):
    return [f"{v:+.1f}" for v in values]


def parts(r):
    steps = (("interface", "epoll, shared", "interface"),
             ("+P", "interface", "+P"), ("+B", "+P", "+P+B"),
             ("+L", "+P+B", "+P+B+L"))
    rows = []
    for name, before, after in steps:
        got = [100 * (1 / r[str(n)][after]["times"] -
                      1 / r[str(n)][before]["times"]) for n in LENGTHS]
        if name in TABLE3:
            rows.append([name + ", paper"] + percents(TABLE3[name]))
        rows.append([f"**{name}, here**"] + percents(got))
    rows.append(["all, paper"] + percents(TABLE3["all"]))
    for side in ("+P+B+L",):
        rows.append(["**all, here**"] + percents(
            gain(r[str(n)]["epoll, shared"], r[str(n)][side])
            for n in LENGTHS))
    rows.append(["**all, here, over SO_REUSEPORT**"] + percents(
        gain(r[str(n)]["epoll, SO_REUSEPORT"], r[str(n)]["+P+B+L"])
        for n in LENGTHS))
    return table(["% more transactions for the CPU time"] +
                 [str(n) for n in LENGTHS], rows)


def costs(r):
    sides = list(next(iter(r.values())))
    rows = [[side] + [f"{r[str(n)][side]['us']:.2f}" for n in LENGTHS]
            for side in sides]
    rows += [[side + ", k/s"] + [f"{r[str(n)][side]['rate'] / 1000:.0f}"
                                 for n in LENGTHS] for side in sides]
    return table(["server us a transaction"] + [str(n) for n in LENGTHS],
                 rows)


def beside(r, paper, unit):
    """The paper's rows, ours where this machine has them."""
    missing = "not measured" if unit == "bytes" else "not enough CPUs"
    rows = []
    for key, theirs in paper.items():
        row = [key, str(theirs)]
        if unit == "bytes":
            row.append("{} / {}".format(*SIZES_CPU.get(key, ("-", "-"))))
        if key not in r:
            rows.append(row + [missing] + [""] * 5)
            continue
        shared, own = r[key]["epoll, shared"], r[key]["epoll, SO_REUSEPORT"]
        best = r[key]["+P+B+L"]
        rows.append(row + [
            f"{gain(shared, best):+.1f}", f"{gain(own, best):+.1f}",
            f"{shared['us']:.2f}", f"{own['us']:.2f}", f"{best['us']:.2f}",
            f"{best['rate'] / 1000:.0f}"])
    cpu = ["its CPU %, epoll / MegaPipe"] if unit == "bytes" else []
    return table([unit, "gain %, paper", *cpu, "here, over shared",
                  "over SO_REUSEPORT", "us shared", "us SO_REUSEPORT",
                  "us MegaPipe", "k/s MegaPipe"], rows)


def hello(r):
    rows = []
    for what, sides in r.items():
        for side, s in sides.items():
            rows.append([what, side, f"{s['us']:.2f}",
                         f"{1 / s['times']:.2f}", f"{s['rate']:.0f}"])
    return table(["requests", "server", "us a request", "ratio",
                  "requests/s"], rows)


def counts(r):
    events = ("raw_syscalls:sys_enter", "lock:contention_begin")
    lengths = list(r)
    rows = [[side] + [f"{r[n][side].get(e, float('nan')):.3f}"
                      for e in events for n in lengths]
            for side in r[lengths[0]]]
    return table(["a transaction"] + [f"{word}, {n}" for word in
                                      ("system calls", "locks waited for")
                                      for n in lengths], rows)


def waited(r):
    rows = []
    for side, n in r.items():
        per = 1000 / max(n["transactions"], 1)
        total = n["all"] - n.get("nothing of ours", 0)
        rows.append([side] + [f"{n.get(k, 0) * per:.0f}"
                              for k in locks.SHOWN] +
                    [f"**{total * per:.0f}**", str(n["transactions"])])
    return table(["locks waited for, in 1000 transactions"] +
                 list(locks.SHOWN) + ["all", "transactions"], rows)


MAKE = {"locks1": waited, "locks8": waited, "counts": counts, "parts": parts,
        "costs": costs, "hello": hello,
        "sizes": lambda r: beside(r, SIZES, "bytes"),
        "cores": lambda r: beside(r, CORES, "threads")}


def update(results, path):
    """Replaces what is between the markers of the tables that we have."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for name, make in MAKE.items():
        key = "parts" if name == "costs" else name
        if key not in results:
            continue
        block = (f"<!-- begin {name} -->\n{make(results[key])}\n\n"
                 f"{results[key + '_machine']}.\n<!-- end {name} -->")
        text = re.sub(f"<!-- begin {name} -->.*?<!-- end {name} -->",
                      lambda _, b=block: b, text, flags=re.S)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def polyline(values, top, colour, dashed=False):
    """None is a point that there is not."""
    points = " ".join(f"{60 + 80 * i},{260 - 220 * max(v, 0) / top:.1f}"
                      for i, v in enumerate(values) if v is not None)
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    return (f'<polyline points="{points}" fill="none" stroke="{colour}" '
            f'stroke-width="2"{dash}/>')


def picture(path, points, lines, step, caption):
    """Gains in percent over eight points; the scale ends at six steps."""
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="680" height="320"'
           ' font-family="sans-serif" font-size="12">',
           '<rect width="680" height="320" fill="white"/>',
           '<line x1="60" y1="260" x2="640" y2="260" stroke="black"/>']
    for percent in range(step, 6 * step + 1, step):
        y = 260 - 220 * percent / (6 * step)
        out.append(f'<text x="10" y="{y + 4:.0f}">{percent} %</text>')
    for i, point in enumerate(points):
        out.append(f'<text x="{56 + 80 * i}" y="278">{point}</text>')
    for i, (name, values, colour, dashed) in enumerate(lines):
        out.append(polyline(values, 6 * step, colour, dashed))
        out.append(f'<text x="400" y="{30 + 16 * i}" fill="{colour}">{name}'
                   '</text>')
    out.append(f'<text x="200" y="300">{caption}</text></svg>\n')
    with open(path, "w", encoding="ascii") as f:
        f.write("\n".join(out))


def ours(r, points):
    """The two lines that each picture has of this machine."""
    return [(f"here, over {base}",
             [gain(r[str(n)][base], r[str(n)]["+P+B+L"])
              if str(n) in r else None for n in points], colour, False)
            for base, colour in (("epoll, shared", "#06c"),
                                 ("epoll, SO_REUSEPORT", "#c60"))]


def write(results, directory):
    """The paper's three figures, its lines and ours, as SVG."""
    cpu = [100 * (SIZES_CPU[n][0] / SIZES_CPU[n][1] - 1)
           if n in SIZES_CPU else None for n in SIZES]
    pictures = {
        "parts": ("paper.svg", LENGTHS, 100, "transactions in a connection",
                  [("the paper, 2012", TABLE3["all"], "#888", True)]),
        "sizes": ("paper-sizes.svg", list(SIZES), 50, "bytes of a message",
                  [("the paper, 2012", list(SIZES.values()), "#888", True),
                   ("the paper, CPU where the link was full", cpu, "#484",
                    True)]),
        "cores": ("paper-cores.svg", list(CORES), 20, "threads of the server",
                  [("the paper, 2012", list(CORES.values()), "#888", True)])}
    for key, (name, points, step, what, lines) in pictures.items():
        if key in results:
            picture(os.path.join(directory, name), points,
                    lines + ours(results[key], points), step,
                    f"{what}; % more for the same CPU time")
