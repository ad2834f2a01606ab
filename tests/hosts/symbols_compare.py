#!/usr/bin/env python3
"""symbols_compare.py TOOL FILE [names | leaf]: every instruction of FILE by our lookup and by addr2line -i.

Files and lines of all frames must agree, and with `names` the functions too. With `leaf` only the innermost frame's,
for debug info in which addr2line sees no inlined calls. Prints the disagreements."""
import os
import subprocess
import sys

tool, file = sys.argv[1:3]
names = sys.argv[3:] == ["names"]
leaf = sys.argv[3:] == ["leaf"]


def run(*cmd, text=None):
    return subprocess.run(cmd, input=text, capture_output=True, text=True, errors="replace", check=True).stdout


def place(text):
    path, _, line = text.split(" (discriminator")[0].rpartition(":")
    path = os.path.normpath(path) if path and path != "??" else ""
    return (path, line) if line not in ("?", "0") else ("", "0")


listing = run("objdump", "-d", "--no-show-raw-insn", file)
address = sorted({int(l.split(":")[0], 16) for l in listing.splitlines() if l[:1] == " " and ":" in l})
text = "".join(f"{a:#x}\n" for a in address)

where_is = {}
for l in run("nm", file).splitlines():
    at, _, symbol = l.rpartition(" ")
    where_is[symbol] = at.split(" ")[0]

ours, now = {}, None
for l in run(tool, file, text=text).splitlines():
    if "\t" not in l:
        now = ours.setdefault(int(l, 16), [])
    else:
        system, where, name, start, kind = l.split("\t")
        now.append((system, place(where), kind))

theirs, now = {}, None
lines = run("addr2line", "-a", "-i", "-f", "-e", file, text=text).splitlines()
i = 0
while i < len(lines):
    if lines[i].startswith("0x"):
        now = theirs.setdefault(int(lines[i], 16), [])
        i += 1
    else:
        now.append((lines[i], place(lines[i + 1])))
        i += 2


def agree(a, b):
    if leaf:
        a, b = a[:1], b[:1]
    if len(a) != len(b):
        return False
    for (system, where, kind), (their_name, their_where) in zip(a, b):
        if their_where[0].endswith("<artificial>"):  # binutils' name for all files of LTO
            their_where = (where[0], their_where[1])
        # Code of no line: they say so, we tell the function's.
        if where != their_where and their_where != ("", "0"):
            return False
        if system in where_is and where_is.get(their_name) == where_is[system]:
            continue  # two names of one function
        sure = names and kind != "placeholder" and not system.endswith("plt") and their_name != "??"
        if sure and system.split("@")[0] != their_name.split("@")[0] and system.split(".")[0] != their_name:
            return False
    return True


bad = [a for a in address if not agree(ours[a], theirs[a])]
for a in bad[:8]:
    print(f"{a:#x}\n  ours   {ours[a]}\n  theirs {theirs[a]}")
multi = sum(len(x) > 1 for x in ours.values())
print(f"{os.path.basename(file)}: {len(address)} addresses, {multi} with inlined calls, {len(bad)} differ")
sys.exit(bool(bad) or not multi)
