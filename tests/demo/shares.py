"""shares.py TRUTH PROFILE: the shares in a CPU profile (pb.py's JSON) against those the demo service keeps."""
import json, sys

truth, profile = (json.load(open(f)) for f in sys.argv[1:3])
weights = [(s['value'][-1], s) for s in profile['sample']]
total = sum(w for w, _ in weights)
bad = []


def near(what, match, want):
    got = 100 * sum(w for w, s in weights if match(s)) / total
    print('%-24s %5.1f %%, should be %d' % (what, got, want))
    if abs(got - want) > 5:
        bad.append(what)


known = truth['cpu_percent']
for name, want in known.items():
    near(name, lambda s: name in s['stack'], want)
for (name, want), route in zip(known.items(), ('/json', '/page', '/archive')):
    near('route=' + route, lambda s: s['labels'].get('route') == route, want)
for name, host in truth['inlined'].items():
    inlined = sum(w for w, s in weights if s['stack'][0] == name and s['stack'][1] == host)
    inside = sum(w for w, s in weights if host in s['stack'])
    if inlined < inside * 0.8:
        bad.append('%s is %d of the %d in %s' % (name, inlined, inside, host))
sys.exit('not so: ' + ', '.join(bad) if bad else 0)
