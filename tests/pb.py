#!/usr/bin/env python3
"""Reads a profile in pprof's format: tests/pb.py FILE|- [--json|--top|--check[=KIND]]
--json (default): everything, names resolved; --top: flat and cum by function; --check: status 1 and the first
violation of what the known readers of the format demand, of a profile of that kind if it is told."""
import gzip, json, re, sys

# Field names in the order of their numbers, from 1. n = number, r = repeated number, s = index of a string, b = bytes,
# S = repeated index, m = messages, o = one message.
F = {k: dict(enumerate((tuple(f.split(':')) for f in v.split()), 1)) for k, v in {
    'Profile': 'sample_type:mValueType sample:mSample mapping:mMapping location:mLocation function:mFunction '
               'string_table:b drop_frames:s keep_frames:s time_nanos:n duration_nanos:n period_type:oValueType '
               'period:n comment:S default_sample_type:s',
    'ValueType': 'type:s unit:s',
    'Sample': 'location_id:r value:r label:mLabel',
    'Label': 'key:s str:s num:n num_unit:s',
    'Mapping': 'id:n start:n limit:n offset:n filename:s build_id:s has_functions:n has_filenames:n '
               'has_line_numbers:n has_inline_frames:n',
    'Location': 'id:n mapping_id:n address:n line:mLine is_folded:n',
    'Line': 'function_id:n line:n column:n',
    'Function': 'id:n name:s system_name:s filename:s start_line:n'}.items()}

# What each kind counts: sample types, the one shown first, period type; and whether it is always over a window. Stores
# and viewers go by these names. heap-delta is heap over a window; any other name is a profile of the program's own.
HEAP = 'alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes'
WAITS = 'contentions/count delay/nanoseconds', 'delay', 'contentions/count', False
KINDS = {'profile': ('samples/count cpu/nanoseconds', 'cpu', 'cpu/nanoseconds', True),
         'wall': ('samples/count time/nanoseconds', 'time', 'wallclock/nanoseconds', True),
         'heap': (HEAP, 'inuse_space', 'space/bytes', False), 'allocs': (HEAP, 'alloc_space', 'space/bytes', False),
         'block': WAITS, 'mutex': WAITS, 'io': ('waits/count delay/nanoseconds', 'delay', 'waits/count', False)}
KINDS.update(fgprof=KINDS['wall'], delta_heap=KINDS['heap'], delta_block=WAITS, delta_mutex=WAITS)
ALIAS = {'threads': 'goroutine'}

def need(ok, *what):
    if not ok:
        raise ValueError(' '.join(str(w) for w in what))

def varint(b, i):
    v = shift = 0
    while True:
        need(i < len(b) and shift < 70, 'cut or overlong varint')
        v |= (b[i] & 127) << shift
        shift, i = shift + 7, i + 1
        if b[i - 1] < 128:
            return v & (1 << 64) - 1, i

def varints(b):
    i = 0
    while i < len(b):
        v, i = varint(b, i)
        yield v

def fields(b):
    i = 0
    while i < len(b):
        tag, i = varint(b, i)
        need(tag & 7 in (0, 2), 'wire type', tag & 7)
        v, i = varint(b, i)
        if tag & 7 == 2:
            need(i + v <= len(b), 'field past the end')
            v, i = b[i:i + v], i + v
        yield tag >> 3, tag & 7, v

def signed(v):
    return v - (1 << 64) if v >> 63 else v

def decode(kind, b):
    m = {n: [] if s[0] in 'rbSm' else {} if s[0] == 'o' else 0 for n, s in F[kind].values()}
    seen = set()
    for num, wire, v in fields(b):
        need(num in F[kind], kind, 'has the unknown field', num)
        name, shape = F[kind][num]
        need(wire == (2 if shape[0] in 'bmo' else 0) or shape == 'r', kind, name, 'has wire type', wire)
        need(num not in seen or shape[0] in 'rbSm', kind, name, 'is there twice')
        seen.add(num)
        if shape[0] == 'm':
            m[name].append(decode(shape[1:], v))
        elif shape in 'brS':
            m[name].extend([v] if shape == 'b' else map(signed, varints(v) if wire == 2 else [v]))
        elif shape[0] == 'o':
            m[name] = decode(shape[1:], v)
        else:
            m[name] = v if name in ('address', 'start', 'limit', 'offset') else signed(v)
    return m

def resolve(kind, m, strings):
    for name, shape in F[kind].values():
        if shape[0] in 'mo' and m[name]:
            for x in m[name] if shape[0] == 'm' else [m[name]]:
                resolve(shape[1:], x, strings)
        elif shape in 'sS':
            for i in m[name] if shape == 'S' else [m[name]]:
                need(0 <= i < len(strings), kind, name, 'is not a string index:', i)
            m[name] = [strings[i] for i in m[name]] if shape == 'S' else strings[m[name]]

def load(data):
    p = decode('Profile', gzip.decompress(data) if data[:2] == b'\x1f\x8b' else data)
    strings = [s.decode('utf-8') for s in p.pop('string_table')]
    need(strings and strings[0] == '', 'string 0 is not ""')
    need(len(set(strings)) == len(strings), 'a string is in the table twice')
    resolve('Profile', p, strings)
    for table in 'mapping', 'location', 'function':
        need([x['id'] for x in p[table]] == list(range(1, len(p[table]) + 1)), table, 'ids are not 1..n')
    for l in p['location']:
        need(0 <= l['mapping_id'] <= len(p['mapping']), 'location', l['id'], 'has no such mapping')
        for line in l['line']:
            need(0 < line['function_id'] <= len(p['function']), 'location', l['id'], 'has no such function')
            line['function'] = p['function'][line['function_id'] - 1]
        l['names'] = [line['function']['name'] for line in l['line']] or ['0x%x' % l['address']]
    for i, s in enumerate(p['sample']):
        need(all(0 < l <= len(p['location']) for l in s['location_id']), 'sample', i, 'has no such location')
        need(len(s['value']) == len(p['sample_type']), 'sample', i, 'has', len(s['value']), 'values')
        s['stack'] = [name for l in s['location_id'] for name in p['location'][l - 1]['names']]
        s['labels'] = {l['key']: l['str'] or l['num'] for l in s['label']}
    return p

def check_kind(p, kind):
    kind, _, delta = ALIAS.get(kind, kind).partition('-')
    count = kind + '/count'
    types, first, period, timed = KINDS.get(kind, (count, '', count, False))
    text = lambda t: t['type'] + '/' + t['unit']
    need([text(t) for t in p['sample_type']] == types.split(), kind, 'counts', p['sample_type'])
    need(text(p['period_type']) == period and p['default_sample_type'] == first, kind, 'has the period', p['period_type'],
         'and shows', p['default_sample_type'])
    over = bool(delta) or timed or kind.startswith('delta_')
    need((p['duration_nanos'] > 0) == over, kind, 'has the duration', p['duration_nanos'])
    if timed:
        need(all(s['value'][1] == s['value'][0] * p['period'] for s in p['sample']), 'a value is not count x period')

def check(p, kind=None, split=False):
    types = [t['type'] for t in p['sample_type']]
    need(1 <= len(types) <= 4 and len(set(types)) == len(types), 'sample types:', types)
    need(not any('-' in t or not t for t in types), 'a sample type has no name or a "-":', types)
    need(p['period_type'] and p['period'] > 0 and p['time_nanos'] > 0, 'no period or time')
    need('cpu' not in types or p['duration_nanos'] > 0, 'no duration')
    need(p['default_sample_type'] in types + [''], 'default_sample_type is none')
    need(not p['drop_frames'] and not p['keep_frames'], 'drop_frames or keep_frames')
    need(not any(c.startswith('executableInfo=') for c in p['comment']), 'a comment that parca takes for its own')
    need(p['mapping'], 'no mapping')
    if kind:
        check_kind(p, kind)
    key = [(f['name'], f['system_name'], f['filename'], f['start_line']) for f in p['function']]
    need(len(set(key)) == len(key) and all(k[0] and k[1] for k in key), 'a function twice, or without name')
    for name, system, file, start in key:
        need(not re.fullmatch('<.*>', name), 'pprof would take away the name', name)
        # What is demangled has to be so again: pprof goes by the system name.
        need(name == system or re.match('_?_[ZR]', system) or '(' not in system, 'system name', system)
        need(not re.search(r'(^|/)\.{1,2}/|//', file), 'file name', file)
    for m in p['mapping']:
        need(m['start'] < m['limit'] and m['filename'], 'mapping', m['id'], 'is empty or without file')
        need(re.fullmatch('([0-9a-f]{2})*', m['build_id']), 'build id', m['build_id'])
    for l in p['location']:
        m = p['mapping'][l['mapping_id'] - 1] if l['mapping_id'] else None
        need(l['address'] and (not m or m['start'] <= l['address'] < m['limit']), 'location', l['id'], 'outside', m)
        bare = any(re.search(r'^0x|\+0x[0-9a-f]+$', name) for name in l['names'])
        need(not (m and m['has_functions'] and bare), 'has_functions is set, but not so at location', l['id'])
        need(not bare or len(l['names']) == 1 and not re.search('[<>()]', l['names'][0]), 'stand-in', l['names'])
        need(not (split and len(l['names']) > 1), 'location', l['id'], 'has inlined frames')
    places = [(l['address'], l['mapping_id'], tuple((n['function_id'], n['line']) for n in l['line'])) for l in p['location']]
    need(len(set(places)) == len(places), 'a location twice')
    seen = set()
    for i, s in enumerate(p['sample']):
        need(s['location_id'], 'sample', i, 'has no stack')
        need(any(s['value']) and min(s['value']) >= 0, 'sample', i, 'has the values', s['value'])
        keys = [l['key'] for l in s['label']]
        need(len(set(keys)) == len(keys) and '' not in keys, 'sample', i, 'has the labels', keys)
        need(not any(k.startswith('pprof::') for k in keys), 'sample', i, 'has a label of pprof')
        need(all(re.fullmatch('[A-Za-z_][A-Za-z0-9_.]*', k) for k in keys), 'sample', i, 'has a key no store takes', keys)
        need(all(l['num_unit'] for l in s['label'] if l['num']), 'sample', i, 'has a number without unit')
        same = tuple(s['location_id']), tuple(sorted(s['labels'].items()))
        need(same not in seen, 'sample', i, 'is there twice')
        seen.add(same)

def top(p):
    for k, t in enumerate(p['sample_type']):
        flat, cum, total = {}, {}, sum(s['value'][k] for s in p['sample'])
        for s in p['sample']:
            for f in set(s['stack']):
                cum[f] = cum.get(f, 0) + s['value'][k]
            flat[s['stack'][0]] = flat.get(s['stack'][0], 0) + s['value'][k]
        print('%s/%s total %d' % (t['type'], t['unit'], total))
        for f in sorted(cum, key=lambda f: (-flat.get(f, 0), -cum[f], f)):
            v = flat.get(f, 0), cum[f]
            part = [100 * x / (total or 1) for x in v]
            print('%12d %6.2f%% %12d %6.2f%% %s' % (v[0], part[0], v[1], part[1], f))

def main():
    modes = [a for a in sys.argv[1:] if a.startswith('--')]
    files = [a for a in sys.argv[1:] if not a.startswith('--')]
    if len(files) != 1 or len(modes) > 1 or \
            not re.fullmatch('(--json|--top|--check(=.+)?)?', ''.join(modes)):
        sys.exit(__doc__)
    try:
        data = sys.stdin.buffer.read() if files[0] == '-' else open(files[0], 'rb').read()
        p = load(data)
        if modes and modes[0].startswith('--check'):
            check(p, modes[0][8:])
            need(data[:2] != b'\x1f\x8b' or data[4:8] == bytes(4) and data[9] == 255, 'the gzip header')
        elif modes == ['--top']:
            top(p)
        else:
            print(json.dumps(p, indent=1, ensure_ascii=False), flush=True)
    except (ValueError, OSError, EOFError) as e:
        sys.exit('%s: %s' % (files[0], e))

if __name__ == "__main__":
    main()
