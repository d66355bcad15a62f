"""Runs one proxy under load, and reads what it cost."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .peer import Peer, Unavailable
from .world import HOST, LARGE, LOAD_CPU, PATH, PROXY_CPU, World, free_port


# Seconds in which slow clients send what they send at first.
SETTLED = 5


@dataclass(frozen=True)
class Load:
    seconds: int
    warmup: int
    connections: int
    slow: int = 0  # clients that hold on all the while, in a second measurement


@dataclass(frozen=True)
class Sample:
    requests_per_second: float
    cpu_us_per_request: float
    p50_us: float
    p99_us: float
    rss_mib: float
    errors: int
    held: int = 0  # slow clients that it had meanwhile, as a median
    came: int = 0  # how many of them connected, those that it had cut before among them

    def as_dict(self) -> dict:
        return asdict(self)


def measure(peer: Peer, world: World, load: Load, *, check: bool) -> list[Sample]:
    """One round of one proxy: start it, see that it does what it is compared for, warm it up, measure it, stop it.

    If there are slow clients, it is measured once more while they hold on."""
    folder = world.folder / peer.name
    folder.mkdir()
    port = free_port()
    start = peer.start(world, folder, port)
    with (start.stdout or folder / "stdout").open("ab") as stdout, (folder / "stderr").open("ab") as stderr:
        process = subprocess.Popen(
            ["taskset", "-c", PROXY_CPU, *start.argv],
            stdout=stdout,
            stderr=stderr,
            stdin=subprocess.DEVNULL,
            env=os.environ | start.env,
            start_new_session=True,
        )
    try:
        await_port(port, process, folder)
        await_service(world, port, process)
        if check:
            inspect(peer, world, port)
        samples = [sample(world, port, process, folder, load)]
        if load.slow:
            with SlowClients(world, port, load.slow) as crowd:
                time.sleep(SETTLED)
                held = sample(world, port, process, folder, load)
            samples.append(replace(held, held=crowd.held, came=crowd.came))
        return samples
    finally:
        stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def sample(world: World, port: int, process: subprocess.Popen, folder: Path, load: Load) -> Sample:
    run_load(world, port, load.connections, load.warmup)
    before = cpu_seconds(process.pid)
    requests, micros, p50, p99, errors = run_load(world, port, load.connections, load.seconds)
    spent = cpu_seconds(process.pid) - before
    if process.poll() is not None:
        raise Unavailable(f"ended under load with {process.returncode}: {last_words(folder)}")
    if errors > requests / 1000:
        raise Unavailable(f"{errors} of {requests} requests failed under load")
    return Sample(requests / (micros / 1e6), spent / requests * 1e6, p50, p99, rss_mib(process.pid), errors)


class SlowClients:
    """The crowd of slow.py, for as long as this is entered."""

    def __init__(self, world: World, port: int, number: int):
        program = str(Path(__file__).with_name("slow.py"))
        words = [str(port), "tls" if world.tls else "", str(number), world.good, PATH, LARGE]
        self.argv = ["taskset", "-c", LOAD_CPU, sys.executable, program, *words]
        self.held = self.came = 0

    def __enter__(self) -> "SlowClients":
        self.process = subprocess.Popen(self.argv, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "there\n":
            self.process.kill()
            raise Unavailable("the slow clients did not come")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        said, _ = self.process.communicate(timeout=30)
        counted = json.loads(said)
        self.held, self.came = counted["held"], counted["came"]


def await_port(port: int, process: subprocess.Popen | None, folder: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process and process.poll() is not None:
            raise Unavailable(f"ended with {process.returncode}: {last_words(folder)}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Unavailable(f"does not listen after 30 s: {last_words(folder)}")


def await_service(world: World, port: int, process: subprocess.Popen) -> None:
    """A proxy may listen before it has read the issuer's keys."""
    deadline = time.monotonic() + 10
    while (status := ask(world, port, world.good)[0]) != 200:
        if time.monotonic() > deadline or process.poll() is not None:
            raise Unavailable(f"answers a good token with {status}")
        time.sleep(0.05)


def last_words(folder: Path) -> str:
    text = (folder / "stderr").read_text(errors="replace").strip()
    return " | ".join(text.splitlines()[-5:])[-600:] or "it said nothing"


def inspect(peer: Peer, world: World, port: int) -> None:
    """A proxy that lets intruders in would be quick, and no peer."""
    if not peer.guards:
        return
    _, tenant = ask(world, port, world.good)
    if tenant != world.tenant:
        raise Unavailable(f"tells the backend of tenant {tenant!r} in place of {world.tenant!r}")
    for what, token in world.intruders.items():
        status, _ = ask(world, port, token)
        if status not in (401, 403):
            raise Unavailable(f"answers {what} with {status}")


def ask(world: World, port: int, token: str) -> tuple[int, str | None]:
    """The status, and the tenant that the backend was told of."""
    fields = {"Host": HOST, "X-Tenant-Id": "spoofed"}
    if token:
        fields["Authorization"] = f"Bearer {token}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        if world.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            # By hand, since the name to ask for is not the address.
            connection.connect()
            connection.sock = context.wrap_socket(connection.sock, server_hostname=HOST)
        connection.request("GET", f"{PATH}/1", headers=fields)
        response = connection.getresponse()
        response.read()
        return response.status, response.getheader("X-Seen-Tenant")
    except OSError as error:
        raise Unavailable(f"does not answer: {error}") from error
    finally:
        connection.close()


def run_load(world: World, port: int, connections: int, seconds: int) -> list[int]:
    """Requests, microseconds, p50, p99, errors."""
    if seconds == 0:
        return []
    return (run_h2load if world.front == "h2" else run_wrk)(world, port, connections, seconds)


def run_wrk(world: World, port: int, connections: int, seconds: int) -> list[int]:
    argv = ["taskset", "-c", LOAD_CPU, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(world.load)]
    done = subprocess.run([*argv, f"{'https' if world.tls else 'http'}://{HOST if world.tls else '127.0.0.1'}:{port}/"], capture_output=True, text=True, timeout=seconds + 60)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            result = [int(word) for word in line.split()[1:]]
            if result[0] == 0:
                raise Unavailable("answers nothing under load")
            return result
    raise Unavailable(f"wrk failed: {done.stdout}{done.stderr}")


# How many requests a client of HTTP/2 has open at once on each of its connections.
STREAMS = 8


def run_h2load(world: World, port: int, connections: int, seconds: int) -> list[int]:
    """It sends one and the same token: its header fields are fixed."""
    log = world.folder / "h2load.log"
    log.unlink(missing_ok=True)
    clients = max(1, connections // STREAMS)
    argv = ["taskset", "-c", LOAD_CPU, "h2load", "-t1", f"-c{clients}", f"-m{STREAMS}", f"-D{seconds}"]
    fields = [f"Authorization: Bearer {world.good}", "X-Tenant-Id: spoofed", "Accept: application/json"]
    argv += [word for field in fields for word in ("-H", field)]
    argv += [f"--log-file={log}", "--connect-to", f"127.0.0.1:{port}", f"https://{HOST}/api/orders/1"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 60)
    counts = re.search(r"requests: (\d+) total, .* (\d+) succeeded, (\d+) failed, (\d+) errored", done.stdout)
    statuses = re.search(r"status codes: (\d+) 2xx", done.stdout)
    if not counts or not statuses or counts[2] == "0":
        raise Unavailable(f"h2load failed: {done.stdout}{done.stderr}")
    took = [int(line.split()[2]) for line in log.read_text().splitlines()]
    cuts = statistics.quantiles(took, n=100)
    requests = int(statuses[1])
    return [requests, seconds * 1_000_000, cuts[49], cuts[98], int(counts[3]) + int(counts[4])]


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue  # it ended while we looked
            children.setdefault(parent, []).append(int(entry.name))
    members, todo = [], [pid]
    while todo:
        member = todo.pop()
        members.append(member)
        todo += children.get(member, [])
    return members


def cpu_seconds(pid: int) -> float:
    """What a process and its descendants have used, in user and kernel mode."""
    ticks = 0
    for member in family(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    kib = 0
    for member in family(pid):
        try:
            lines = Path(f"/proc/{member}/status").read_text().splitlines()
        except OSError:
            continue
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return kib / 1024


def stop(process: subprocess.Popen) -> None:
    """Ends the group that was started for it, and only that."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
        except ProcessLookupError:
            process.wait()
            return
        except subprocess.TimeoutExpired:
            continue
