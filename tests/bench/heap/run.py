"""Runs the programs beside it under each configuration in turn, several times, and prints the best of each."""
import os
import shutil
import subprocess
import sys
import time

build, temp, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
only = sys.argv[4:]
lib = build + "/libpprofd.so"
libs = "/usr/lib/x86_64-linux-gnu/"
JE, TC, MI = (libs + n for n in ("libjemalloc.so.2", "libtcmalloc.so.4", "libmimalloc.so.2"))


def pprofd(rate, *before):
    return {"LD_PRELOAD": ":".join([lib, *before]), "PPROFD_LISTEN": "unix:" + temp + "/%p.sock",
            "PPROFD_HEAP_RATE": rate}


CONFIGS = [  # name, environment, command in front, the configuration it is compared with
    ("glibc", {}, [], None),
    ("glibc + pprofd, heap off", pprofd("0"), [], "glibc"),
    ("glibc + pprofd, 512 KiB", pprofd("512K"), [], "glibc"),
    ("glibc + pprofd, 1 TiB", pprofd("1024G"), [], "glibc"),
    ("heaptrack", {}, ["heaptrack", "-r", "-o", temp + "/ht"], "glibc"),
    ("jemalloc", {"LD_PRELOAD": JE}, [], None),
    ("jemalloc, its profiler", {"LD_PRELOAD": JE, "MALLOC_CONF": "prof:true,lg_prof_sample:19"}, [], "jemalloc"),
    ("jemalloc + pprofd, 512 KiB", pprofd("512K", JE), [], "jemalloc"),
    ("tcmalloc", {"LD_PRELOAD": TC, "TCMALLOC_SAMPLE_PARAMETER": "0"}, [], None),
    ("tcmalloc, its profiler", {"LD_PRELOAD": TC, "TCMALLOC_SAMPLE_PARAMETER": "524288"}, [], "tcmalloc"),
    ("tcmalloc + pprofd, 512 KiB", pprofd("512K", TC), [], "tcmalloc"),
    ("mimalloc", {"LD_PRELOAD": MI}, [], None),
    ("mimalloc + pprofd, 512 KiB", pprofd("512K", MI), [], "mimalloc"),
]


def usable(config):
    _, env, front, _ = config
    return all(os.path.exists(p) for p in env.get("LD_PRELOAD", "").split(":") if p) and (
        not front or shutil.which(front[0]))


# glibc gives memory back to the system at the drop of a hat: that would be measured, and nothing else.
os.environ["MALLOC_TRIM_THRESHOLD_"] = str(1 << 30)
os.environ["MALLOC_TOP_PAD_"] = str(64 << 20)
CONFIGS = [c for c in CONFIGS if usable(c)]


def once(config, *args):
    _, env, front, _ = config
    done = subprocess.run(front + list(args), env={**os.environ, **env}, capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split("\n") if line.replace(".", "", 1).isdigit()][-1]


def best(configs, n, *args):
    """The smallest of n launches each, in turn; a heavy one only once."""
    got = {}
    for i in range(n):
        for c in configs:
            if c[2] and i:
                continue
            v = once(c, *args)
            got[c[0]] = min(got.get(c[0], v), v)
    return got


def table(title, columns, cells, unit):
    print(f"\n{title}")
    print(f"{'':28}" + "".join(f"{c:>22}" for c in columns))
    for name, _, _, base in CONFIGS:
        if not all(name in col for col in cells):
            continue
        text = ""
        for col in cells:
            v = col[name]
            more = "" if base not in col else unit(v, col[base])
            text += f"{v:12.2f} {more:>9}"
        print(f"{name:28}{text}")


def wanted(what):
    return not only or what in only


def difference(v, base):
    return f"({v - base:+.2f})"


def percent(v, base):
    return f"({100 * (v / base - 1):+.1f} %)"


if wanted("pairs"):
    for threads in "1", "2":
        sizes = ["16", "256", "4096", "mixed"]
        cells = [best(CONFIGS, rounds, temp + "/pairs", s, threads, "60", "50000") for s in sizes]
        table(f"ns per malloc and free, {threads} thread{'s' * (threads > '1')}", sizes, cells, difference)

if wanted("instructions") and shutil.which("valgrind"):
    def count(config, n):
        _, env, _, _ = config
        front = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=same"]
        err = subprocess.run(front + [temp + "/pairs", "256", "1", "1", str(n)], env={**os.environ, **env},
                             capture_output=True, text=True).stderr
        return int([line for line in err.split("\n") if "Collected" in line][-1].split()[-1])

    some = [c for c in CONFIGS if c[0].startswith("glibc")]
    cells = [{c[0]: count(c, 500000) / 1e6 for c in some}]
    table("instructions per malloc and free of 256 B (callgrind)", ["256"], cells, difference)

if wanted("programs"):
    cells = [best(CONFIGS, rounds, temp + "/sqlite", "40")]
    table("sqlite, ms of CPU per piece of work", ["sqlite"], cells, percent)

if wanted("redis") and shutil.which("redis-server"):
    LUA = ("local t = {} for i = 1, 400000 do t[i % 1000] = 'v' .. i redis.call('set', 'k' .. i % 500, "
           "string.rep('x', i % 700)) end return 1")

    def redis(config):
        _, env, front, _ = config
        sock = f"{temp}/redis.sock"
        server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", sock, "--save", "", "--appendonly",
                                   "no", "--lua-time-limit", "0"], env={**os.environ, **env}, stdout=subprocess.DEVNULL)
        try:
            while subprocess.run(["redis-cli", "-s", sock, "ping"], capture_output=True).returncode:
                time.sleep(0.05)

            def cpu():
                with open(f"/proc/{server.pid}/schedstat") as f:
                    return int(f.read().split()[0]) / 1e6
            values = []
            for _ in range(4):
                before = cpu()
                subprocess.run(["redis-cli", "-s", sock, "eval", LUA, "0"], capture_output=True, check=True)
                values.append(cpu() - before)
            return min(values)
        finally:
            server.terminate()
            server.wait()

    # Debian's redis-server has jemalloc already.
    some = [("jemalloc", {}, [], None),
            ("jemalloc, its profiler", {"MALLOC_CONF": "prof:true,lg_prof_sample:19"}, [], "jemalloc"),
            ("jemalloc + pprofd, 512 KiB", pprofd("512K"), [], "jemalloc"),
            ("jemalloc + pprofd, 1 TiB", pprofd("1024G"), [], "jemalloc")]
    got = {}
    for i in range(rounds):
        for c in some:
            v = redis(c)
            got[c[0]] = min(got.get(c[0], v), v)
    CONFIGS = some
    table("redis, ms of CPU per script", ["redis"], [got], percent)

if wanted("live"):
    MIB = 1 << 20
    print("\nresident bytes per live sample: 512 MiB live of 4000 B objects, one sample for 64 KiB")
    samples = 512 * MIB / 65536
    for name, base, env in (("glibc + pprofd", {}, pprofd("64K")),
                            ("jemalloc's profiler", {"LD_PRELOAD": JE, "MALLOC_CONF": "prof:false"},
                             {"LD_PRELOAD": JE, "MALLOC_CONF": "prof:true,lg_prof_sample:16"}),
                            ("tcmalloc's profiler", {"LD_PRELOAD": TC, "TCMALLOC_SAMPLE_PARAMETER": "0"},
                             {"LD_PRELOAD": TC, "TCMALLOC_SAMPLE_PARAMETER": "65536"})):
        # What the service takes by itself is not of the samples.
        base = base or pprofd("1024G")
        if not all(os.path.exists(p) for p in env["LD_PRELOAD"].split(":")):
            continue
        v = [min(once(("", e, [], None), temp + "/live", str(512 * MIB), "4000") for _ in range(3))
             for e in (base, env)]
        print(f"{name:28}{(v[1] - v[0]) / samples:12.0f}")
