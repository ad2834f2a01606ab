"""Load for memcached: connections that set and get few keys as fast as they can. load.py PORT SECONDS CONNECTIONS"""
import socket, sys, threading, time

port, seconds, connections = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
until = time.monotonic() + seconds
done = [0] * connections

def run(i):
    s = socket.create_connection(('127.0.0.1', port), timeout=10)
    batch = b''.join(b'set k%d 0 0 8\r\n12345678\r\nincr n 1\r\nget k%d\r\n' % (k % 3, k % 3) for k in range(200))
    last = b'done%d' % i
    while time.monotonic() < until:
        s.sendall(batch + b'set ' + last + b' 0 0 1\r\nx\r\nget ' + last + b'\r\n')
        got = b''
        while last not in got:
            part = s.recv(65536)
            if not part:
                return
            got = got[-64:] + part
        done[i] += 1
    s.close()

threads = [threading.Thread(target=run, args=(i,)) for i in range(connections)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(sum(done) * 601)
