# SPDX-License-Identifier: MIT
"""Which messages in the sources did nobody see?

messages.py TOP LOG: prints each message that the command and the library can
say of a bad input and that matches no line of the log, and fails if there is
any. A message is a literal in the arguments of a function that says one.
"""
import re
import sys

top, log = sys.argv[1:]

# File: the calls whose literals are messages.
SOURCES = {
    "cli/filter.c": r"misuse|wrong",
    "cli/main.c": r"complain|misuse",
    "cli/doctor.c": r"misuse",
    "cli/env.c": r"misuse",
    "cli/process.c": r"complain",
    "cli/probe.c": r"return",
    "cli/run.c": r"complain|misuse|warn",
    "cli/say.c": r"complain",
    "cli/sockets.c": r"misuse",
    "cli/stat.c": r"complain|misuse",
    "core/opts.c": r"snprintf",
    "core/opts_cpus.c": r"snprintf",
    "core/opts_file.c": r"wrong",
    "shim/config.c": r"unreadable|snprintf",
    "shim/init.c": r"shim_log|shim_log_once|return",
}

LITERAL = r'"(?:[^"\\]|\\.)*"'


def calls(text, names):
    """The arguments of each call, up to the bracket or ; that ends it."""
    for found in re.finditer(rf"\b({names})\b\s*(?=[(\s\"])", text):
        depth, at = found[1] == "return", found.end()
        start = at
        while at < len(text):
            literal = re.compile(LITERAL).match(text, at)
            if literal:
                at = literal.end()
                continue
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            if text[at] == ";" or (depth == 0 and text[at] == ")"):
                break
            at += 1
        yield text[start:at]


def messages(path, names):
    text = re.sub(r"/\*.*?\*/", "", open(f"{top}/{path}").read(), flags=re.S)
    for arguments in calls(text, names):
        for run in re.findall(rf"{LITERAL}(?:\s*{LITERAL})*", arguments):
            joined = "".join(part[1:-1] for part in re.findall(LITERAL, run))
            joined = joined.replace("\\n", "").replace('\\"', '"')
            words = re.sub(r"%[-.*\d]*[lz]*[a-z]", "", joined)
            if " " in words.strip() and re.search("[a-z]{3}", words):
                yield joined


def regex(message):
    parts = re.split(r"%[-.*\d]*[lz]*[a-zA-Z]", message)
    return ".*".join(re.escape(part) for part in parts)


def main():
    said = open(log, errors="replace").read()
    seen, missing = 0, 0
    for path, names in SOURCES.items():
        for message in dict.fromkeys(messages(path, names)):
            if re.search(regex(message), said):
                seen += 1
                continue
            missing += 1
            print(f"{path}: nobody saw: {message}")
    print(f"{seen} messages seen, {missing} not")
    return missing > 0 or seen < 40


sys.exit(main())
