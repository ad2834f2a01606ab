"""What the client tests share: a service of their own, raw HTTP to it, and the kinds of profile it has.
The environment gives B, the absolute build folder, and T, a private one."""
import atexit, os, re, socket, subprocess, sys, threading, time

B, T = os.environ['B'], os.environ['T']
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import pb

PROFILES = '/debug/pprof/'
TIMED = 'profile', 'wall', 'fgprof'  # without `seconds` these take thirty
failures = []


def ok(true, *what):
    """Remember, and tell, what is not so; the test goes on."""
    if not true:
        failures.append(what)
        if len(failures) <= 20:
            print('not so:', *(str(w)[:600] for w in what), flush=True)
    return true


def done():
    print(len(failures), 'failures')
    sys.exit(1 if failures else 0)


class Answer:
    """A reply: status, header (pairs in their order), body. status 0: none came."""

    def __init__(self, data):
        head, mark, self.body = data.partition(b'\r\n\r\n')
        lines = head.decode('latin-1').split('\r\n')
        self.line = lines[0]
        self.status = int(lines[0].split(' ')[1]) if mark else 0
        self.header = [tuple(line.split(': ', 1)) for line in lines[1:]]

    def __getitem__(self, name):
        values = [v for n, v in self.header if n.lower() == name.lower()]
        return values[0] if values else None

    def text(self):
        return self.body.decode('utf-8', 'replace')


class Service:
    """A program that serves on a port of the system's choice; ended by its pid when the test ends."""

    def __init__(self, *argv, **env):
        log = '%s/log%d' % (T, id(self))
        env = {**os.environ, 'PPROFD_LISTEN': '127.0.0.1:0', 'PPROFD_LOG': log, **env}
        self.out = log + '.out'
        with open(self.out, 'wb') as out:
            self.process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=out, stderr=out)
        atexit.register(self.end)
        self.pid, until, found = self.process.pid, time.time() + 20, None
        while not found:
            if time.time() > until or self.process.poll() is not None:
                sys.exit('%s does not serve' % ' '.join(argv))
            time.sleep(0.02)
            found = os.path.exists(log) and re.search(r'serving on http://([0-9.]+):(\d+)', open(log).read())
        self.at = found[1], int(found[2])
        self.url = 'http://%s:%d%s' % (*self.at, PROFILES)

    def end(self):
        self.process.kill()
        self.process.wait()

    def connect(self, timeout=60):
        return socket.create_connection(self.at, timeout)

    def raw(self, data, timeout=60):
        """Send bytes and read until the connection ends."""
        with self.connect(timeout) as s:
            s.sendall(data)
            return read_all(s)

    def ask(self, target, method='GET', header=(), body=b'', timeout=60):
        if not target.startswith('/'):
            target = PROFILES + target
        head = ['%s %s HTTP/1.1' % (method, target), 'Host: localhost', 'Connection: close', *header]
        if body:
            head.append('Content-Length: %d' % len(body))
        return Answer(self.raw('\r\n'.join(head).encode('latin-1') + b'\r\n\r\n' + body, timeout))

    def kinds(self):
        """Names of the profiles the index links to."""
        page = self.ask('', header=['Accept: text/html']).text()
        names = sorted(set(re.findall(r'''href=['"]([a-z_]+)[?'"]''', page)))
        return [n for n in names if self.ask(n, 'HEAD')['Content-Type'] == 'application/octet-stream']


def read_all(s):
    parts = []
    while part := s.recv(1 << 16):
        parts.append(part)
    return b''.join(parts)


def at_once(calls):
    """Run all, each in a thread of its own; their results in the same order."""
    results = [None] * len(calls)

    def run(i):
        results[i] = calls[i]()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


def short(kind, query=''):
    """The kind's path with a query, over a second if it takes time."""
    parts = [p for p in ('seconds=1' if kind in TIMED and 'seconds=' not in query else '', query) if p]
    return kind + ('?' + '&'.join(parts) if parts else '')
