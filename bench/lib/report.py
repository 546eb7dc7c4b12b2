# SPDX-License-Identifier: MIT
"""Results as a table on the terminal, and as JSON.

A result has the samples of each side; its summary has medians. The first
side is what the others are compared with.
"""
import datetime
import json
import os
import platform
import statistics
import subprocess

from servers import read


def median(samples, key):
    return statistics.median(s[key] for s in samples)


def times(samples, base, key):
    """How often a side's value is in that of the first: of samples that were
    taken together."""
    return statistics.median(b[key] / s[key] for s, b in zip(samples, base))


def load_summary(result, name, base):
    samples = result["samples"][name]
    cpu, rate = median(samples, "cpu"), median(samples, "rate")
    user, system = (sum(s["ticks"][i] for s in samples) for i in (0, 1))
    share = user / max(user + system, 1)
    out = {"rate": rate, "rate_ratio": 1 / times(samples, base, "rate"),
           "cpu": cpu, "cpu_min": min(s["cpu"] for s in samples),
           "cpu_max": max(s["cpu"] for s in samples),
           "user": cpu * share, "system": cpu * (1 - share),
           "cpu_ratio": times(samples, base, "cpu")}
    half = result.get("half", {}).get(name) or samples
    if "p50_us" in half[0] and (result.get("rate") or half is not samples):
        out["p50"] = median(half, "p50_us")
        out["p99"] = median(half, "p99_us")
    if result["calls"].get(name):
        out["calls"], out["enters"] = result["calls"][name]
    if name in result.get("memory", {}):
        out["memory"] = result["memory"][name] / (1 << 20)
    return out


def other_summary(result, name, base):
    samples = result["samples"][name]
    out = {}
    for key in samples[0]:
        values = [s[key] for s in samples]
        out[key] = statistics.median(values)
        out[key + "_min"], out[key + "_max"] = min(values), max(values)
        out[key + "_more"] = out[key] - median(base, key)
    return out


def summarise(result):
    """Medians of each side, {} for a failed run."""
    if result["errors"]:
        return {}
    base = next(iter(result["samples"].values()))
    make = load_summary if "cpu" in base[0] else other_summary
    return {name: make(result, name, base) for name in result["samples"]}


# Of a load: key, title, width, format.
COLUMNS = (("rate", "req/s", 8, ".0f"), ("rate_ratio", "ratio", 6, ".3f"),
           ("cpu", "us/req", 8, ".2f"), ("cpu_min", "min", 7, ".2f"),
           ("cpu_max", "max", 7, ".2f"), ("user", "user", 6, ".2f"),
           ("system", "system", 7, ".2f"), ("cpu_ratio", "ratio", 6, ".3f"),
           ("p50", "p50", 6, ".0f"), ("p99", "p99", 6, ".0f"),
           ("calls", "calls", 6, ".2f"), ("enters", "enter", 6, ".3f"),
           ("memory", "MiB", 6, ".1f"))


def header():
    return ("us/req: the server's CPU time, median, min, max, in user and "
            "system mode; ratios: better\nthan the first side above 1; p50, "
            "p99: us at half load; calls, enter: a request's system\ncalls "
            "and io_uring_enter; MiB: private memory of the server\n\n"
            f"{'':10}" + " ".join(f"{t:>{w}}" for _, t, w, _ in COLUMNS))


def load_line(name, summary):
    cells = [f"{summary[k]:{w}{f}}" if k in summary else " " * w
             for k, _, w, f in COLUMNS]
    return f"  {name:7} " + " ".join(cells).rstrip()


def other_line(name, summary, units):
    text = f"  {name:7}"
    for key, unit in units.items():
        text += (f"  {key} {summary[key]:.2f} {unit} "
                 f"({summary[key + '_min']:.2f} to "
                 f"{summary[key + '_max']:.2f}; {summary[key + '_more']:+.2f})")
    return text


def text(result):
    """A title and a line for each side."""
    row = result["row"]
    out = [f"{row['title']} [{row['name']}]"]
    if row.get("goal"):
        out[0] += f", goal {row['goal']}"
    if result["errors"]:
        return f"{out[0]}\n  FAILED: {result['errors'][0]}"
    for name, summary in summarise(result).items():
        out.append(load_line(name, summary) if "cpu" in summary else
                   other_line(name, summary, result["units"]))
    return "\n".join(out)


def machine():
    model = [x.split(":")[1].strip()
             for x in read("/proc/cpuinfo").splitlines()
             if x.startswith("model name")]
    return {"cpu": model[0] if model else platform.machine(),
            "cpus": os.cpu_count(), "kernel": platform.release(),
            "date": datetime.date.today().isoformat()}


def git(*words):
    here = os.path.dirname(os.path.abspath(__file__))
    return subprocess.run(("git",) + words, cwd=here, text=True, check=False,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout.strip()


def tree():
    """Which source was measured, where git knows."""
    changed = git("status", "--porcelain", "--", ":/core", ":/shim", ":/bpf",
                  ":/Makefile")
    return git("log", "-1", "--format=%h") + (" and changes" if changed
                                              else "")


def earlier(build):
    """What build/bench.json has."""
    try:
        saved = json.loads(read(os.path.join(build, "bench.json")))
        saved["rows"].items()
        return saved
    except (ValueError, KeyError, AttributeError):
        return {"rows": {}}


def save(result, build, how):
    """Puts the row into build/bench.json, beside those of earlier runs."""
    saved = earlier(build)
    row = dict(result["row"])
    saved["rows"][row.pop("number") + "-" + row["name"]] = {
        "row": row, "machine": machine(), "tree": tree(), "how": how,
        "summary": summarise(result), "errors": result["errors"],
        "units": result.get("units", {}), "samples": result["samples"],
        "half": result.get("half", {}), "took": result["took"],
        "half_rate": result.get("rate")}
    saved["rows"] = dict(sorted(saved["rows"].items()))
    with open(os.path.join(build, "bench.json"), "w", encoding="ascii") as f:
        json.dump(saved, f, indent=1)
    return saved
