# SPDX-License-Identifier: MIT
"""Runs the commands of a document, and looks at what they print.

walkthrough.py FILE [--write]

Commands are in blocks of ```console: lines behind "# ", continued by lines
behind "> ". Comments below a block say what must be true of it:
  <!-- expect REGEX -->   a line of its output matches
  <!-- status N -->       the last command's exit status, 0 otherwise
  <!-- anything -->       its output is not shown
Prints TAP, a case for each block; --write puts the real output into the file.
"""
import re
import subprocess
import sys
import tempfile

path = sys.argv[1]
write = "--write" in sys.argv[2:]


def blocks(lines):
    """Index of the first line in a block, and of the line that ends it."""
    start = None
    for i, line in enumerate(lines):
        if line == "```console":
            start = i + 1
        elif line == "```" and start is not None:
            yield start, i
            start = None


def commands(lines):
    found = []
    for line in lines:
        if line.startswith("# "):
            found.append([line[2:]])
        elif line.startswith("> ") and found:
            found[-1].append(line[2:])
    return ["\n".join(words) for words in found]


def run(command):
    """Its output by way of a file: what it leaves running holds no pipe."""
    with tempfile.TemporaryFile("w+") as out:
        status = subprocess.run(["bash", "-c", command], stdout=out,
                                stderr=out, stdin=subprocess.DEVNULL,
                                timeout=60).returncode
        out.seek(0)
        return status, out.read().replace("\r", "")


def expectations(lines):
    status, regexes, shown = 0, [], True
    for line in lines:
        comment = re.fullmatch(r"<!-- (\w+) ?(.*) -->", line)
        if not comment:
            break
        kind, text = comment.groups()
        if kind == "status":
            status = int(text)
        elif kind == "expect":
            regexes.append(text)
        elif "<!-- anything -->" == line:
            shown = False
    return status, regexes, shown


def check(lines, start, end):
    """What is wrong, and the block as it is with the real output."""
    wanted, regexes, shown = expectations(lines[end + 1:])
    text, block, status = "", [], 0
    for command in commands(lines[start:end]):
        status, out = run(command)
        first, *more = command.split("\n")
        block += ["# " + first] + ["> " + line for line in more]
        text += out
        if shown:
            block += out.rstrip("\n").split("\n") if out else []
        if status and command != commands(lines[start:end])[-1]:
            return [f"{command}: status {status}", text], block
    wrong = [f"no line is {regex}" for regex in regexes
             if not re.search(regex, text, re.M)]
    if status != wanted:
        wrong.append(f"status {status}, not {wanted}")
    return (wrong + [text] if wrong else []), block


def main():
    lines = open(path).read().split("\n")
    found = list(blocks(lines))
    print(f"1..{len(found)}")
    replaced, failed = [], 0
    for n, (start, end) in enumerate(found, 1):
        wrong, block = check(lines, start, end)
        name = commands(lines[start:end])[-1].split("\n")[0]
        print(f"{'not ok' if wrong else 'ok'} {n} - {name}", flush=True)
        for line in "\n".join(wrong).split("\n") if wrong else []:
            print("# " + line)
        failed += bool(wrong)
        replaced.append((start, end, block))
    if write and not failed:
        for start, end, block in reversed(replaced):
            lines[start:end] = block
        open(path, "w").write("\n".join(lines))
    return failed > 0


sys.exit(main())
