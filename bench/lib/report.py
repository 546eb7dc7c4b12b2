# SPDX-License-Identifier: MIT
"""Results as a table on the terminal, as JSON and as a picture."""
import datetime
import json
import os
import platform
import statistics

TITLE = 52


def median(samples, key):
    return statistics.median(s[key] for s in samples)


def span(samples, key):
    values = [s[key] for s in samples]
    return min(values), max(values)


def header(names):
    return (f"{'workload':{TITLE}} {'side':6} {'req/s':>9} {'ratio':>6} "
            f"{'us/req':>8} {'min..max':>15} {'ratio':>6} {'user':>5} "
            f"{'p50':>7} {'p99':>8} {'calls':>6} {'enter':>6}   goal")


def load_line(result, title, name, plain):
    samples = result["samples"][name]
    cpu, rate = median(samples, "cpu"), median(samples, "rate")
    low, high = span(samples, "cpu")
    text = (f"{title:{TITLE}} {name:6} {rate:9.0f} "
            f"{rate / median(plain, 'rate'):6.3f} {cpu:8.3f} "
            f"{f'{low:.2f}..{high:.2f}':>15} "
            f"{median(plain, 'cpu') / cpu:6.3f} "
            f"{median(samples, 'user'):5.0%} ")
    if "p50_us" in samples[0]:
        text += (f"{median(samples, 'p50_us'):7.0f} "
                 f"{median(samples, 'p99_us'):8.0f} ")
    else:
        text += f"{'':7} {'':8} "
    calls = result["calls"].get(name)
    if calls:
        text += f"{calls[0]:6.2f} {calls[1]:6.3f}"
    return text + f"   {result['row'].get('goal', '')}"


def other_line(title, name, samples, plain):
    keys = [k for k in samples[0] if k not in ("requests", "seconds")]
    text = f"{title:{TITLE}} {name:6} "
    for key in keys:
        value, base = median(samples, key), median(plain, key)
        text += f" {key} {value:.2f} (plain {base - value:+.2f})"
    return text


def line(result):
    title = result["row"]["title"]
    if result["errors"]:
        return f"{title:{TITLE}} FAILED: {result['errors'][0]}"
    out = []
    plain = next(iter(result["samples"].values()))
    for name, samples in result["samples"].items():
        if "cpu" in samples[0]:
            out.append(load_line(result, title, name, plain))
        else:
            out.append(other_line(title, name, samples, plain))
        title = ""
    return "\n".join(out)


def machine(cpuinfo):
    model = [x.split(":")[1].strip() for x in cpuinfo.splitlines()
             if x.startswith("model name")]
    return {"cpu": model[0] if model else platform.machine(),
            "cpus": os.cpu_count(), "kernel": platform.release(),
            "date": datetime.date.today().isoformat()}


def save(results, build, cpuinfo):
    where = machine(cpuinfo)
    for r in results:
        r["row"].pop("client", None)
    with open(os.path.join(build, "bench.json"), "w",
              encoding="ascii") as f:
        json.dump({"machine": where, "rows": results}, f, indent=1)
    with open(os.path.join(build, "bench.svg"), "w",
              encoding="ascii") as f:
        f.write(picture(results, where))


BAR, LEFT, UNIT, TOP = 22, 400, 160, 50


def bars(results):
    for r in results:
        if r["errors"] or len(r["samples"]) < 2:
            continue
        names = list(r["samples"])
        plain, ours = r["samples"][names[0]], r["samples"][names[1]]
        if "cpu" in ours[0]:
            yield r["row"]["title"], median(plain, "cpu") / median(ours, "cpu")


def picture(results, where):
    """A bar for each row: CPU per request, plain / preload."""
    rows = list(bars(results))
    height = TOP + BAR * len(rows) + 20
    longest = max([3.0] + [min(v, 3.2) for _, v in rows])
    width = int(LEFT + UNIT * longest + 70)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
           f'height="{height}" font-family="sans-serif" font-size="13">',
           f'<rect width="{width}" height="{height}" fill="#fff"/>',
           '<text x="10" y="20" font-weight="bold">Server CPU per request, '
           'plain / preload (longer is better)</text>',
           f'<text x="10" y="38" fill="#555">{where["cpu"]}, Linux '
           f'{where["kernel"]}, {where["date"]}</text>']
    for i, (title, value) in enumerate(rows):
        y = TOP + BAR * i
        color = "#2a7" if value >= 1 else "#c33"
        out += [f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">'
                f'{title}</text>',
                f'<rect x="{LEFT}" y="{y + 3}" height="{BAR - 6}" '
                f'width="{UNIT * min(value, 3.2):.0f}" fill="{color}"/>',
                f'<text x="{LEFT + UNIT * min(value, 3.2) + 6:.0f}" '
                f'y="{y + 15}">{value:.2f}</text>']
    out += [f'<line x1="{LEFT + UNIT}" x2="{LEFT + UNIT}" y1="{TOP}" '
            f'y2="{height - 16}" stroke="#000" stroke-dasharray="3"/>',
            '</svg>', '']
    return "\n".join(out)
