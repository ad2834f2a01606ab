#!/usr/bin/env python3
"""Compare a CPU profile with perf's view of the same time: compare.py PROFILE.json PERF_SCRIPT
Both are reduced to the real (not inlined) function that each sample's user code was in. Prints the two top tens and
ends with status 0 when at least 8 of perf's top 10 (or all but 2 of those over 1 %) are in ours and no share differs
by more than 5 points beyond what chance explains."""
import json, math, os, re, sys


def ours(path):
    p = json.load(open(path))
    flat = {}
    for s in p['sample']:
        leaf = p['location'][s['location_id'][0] - 1]
        f = leaf['line'][-1]['function'] if leaf['line'] else None
        name = re.sub(r'^(.*)\+0x[0-9a-f]+$', r'(\1)', f['system_name'] or f['name']) if f else '?'
        flat[name] = flat.get(name, 0) + s['value'][0]
    return flat


def perfs(path):
    """perf script -F comm,ip,sym,dso: the thread's name, then a frame a line; samples are parted by empty lines."""
    flat, done = {}, False
    for line in open(path, errors='replace'):
        line = line.rstrip()
        if not line:
            done = False
            continue
        if line.strip().startswith('pprofd-'):
            done = True
        m = re.match(r'\s*([0-9a-f]+) (.*?)(?:\+0x[0-9a-f]+)? \((.*)\)$', line)
        if done or not m or len(m.group(1)) == 16 and m.group(1).startswith('ffff'):
            continue
        done = True
        # Code without a symbol counts for its object.
        name = '(%s)' % os.path.basename(m.group(3)) if m.group(2) == '[unknown]' else m.group(2)
        flat[name] = flat.get(name, 0) + 1
    return flat


def clean(name):
    # Aliases of one function, and what compilers put behind names.
    name = re.sub(r'(\.(constprop|isra|part|cold|lto_priv|llvm)[.\d]*)+$', '', name)
    name = re.sub(r'@.*$', '', name).replace('memcpy', 'memmove')
    return re.sub(r'^_*(GI_+)?(libc_|vdso_)?', '', name)


def main():
    a, b = ours(sys.argv[1]), perfs(sys.argv[2])
    mine, theirs = {}, {}
    for src, dst in (a, mine), (b, theirs):
        for k, v in src.items():
            dst[clean(k)] = dst.get(clean(k), 0) + v
    na, nb = sum(mine.values()), sum(theirs.values())
    if na < 50 or nb < 50:
        sys.exit('too few samples: %d and %d' % (na, nb))
    rank = lambda d: sorted(d, key=lambda k: (-d[k], k))
    want = [k for k in rank(theirs)[:10] if theirs[k] * 100 >= nb]
    have = rank(mine)[:10]
    # A function of few samples may be on either side of the tenth place by chance.
    have += [k for k in want if mine.get(k, 0) and mine[k] >= theirs[k] * na / nb / 3]
    print('%-48s %7s %7s' % ('function', 'ours %', 'perf %'))
    bad = []
    for k in sorted(set(want) | set(rank(mine)[:10]), key=lambda k: -theirs.get(k, 0)):
        x, y = mine.get(k, 0) / na, theirs.get(k, 0) / nb
        noise = 3 * math.sqrt(x * (1 - x) / na + y * (1 - y) / nb)
        far = abs(x - y) > 0.05 + noise
        print('%-48s %7.1f %7.1f%s' % (k[:48], 100 * x, 100 * y, '  <- differs' if far else ''))
        bad += [k] if far else []
    missing = [k for k in want if k not in have]
    print('%d samples, perf %d; %d of %d of the top found' % (na, nb, len(want) - len(missing), len(want)))
    if len(missing) > 2 or bad:
        sys.exit('missing: %s; too far: %s' % (missing, bad))


main()
