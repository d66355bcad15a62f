"""Puts the units of config/systemd to the test, as root of a machine that has nothing else to do. `run` starts it there.

A backend, an issuer and clients are here; the gateway runs as its unit says, and is looked at from outside of its sandbox.
"""

import http.client
import http.server
import json
import os
import pathlib
import re
import ssl
import subprocess
import threading
import time
import traceback
import urllib.request

CONFIG = pathlib.Path("/etc/cloister/cloister.yaml")
DROP_IN = pathlib.Path("/etc/systemd/system/cloister.service.d/trial.conf")
SOCKETS = pathlib.Path("/etc/systemd/system/cloister.socket.d/trial.conf")
STATE = pathlib.Path("/var/lib/private/cloister")


def system(*words, check=True):
    done = subprocess.run(words, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def show(name, unit="cloister.service"):
    return system("systemctl", "show", "--value", "-p", name, unit)


def until(what, so, patience=30):
    deadline = time.monotonic() + patience
    while not so():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain until {what}: {show('ActiveState')} {show('StatusText')}")
        time.sleep(0.05)


class Backend(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"{self.headers.get('x-tenant-id')}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def get(token=None):
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=20)
    fields = {"host": "acme.localhost"} | ({"authorization": f"Bearer {token}"} if token else {})
    connection.request("GET", "/api/orders", headers=fields)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


class Crowd:
    """Clients that come one after the other, each with a connection of its own, and never wait for anything."""

    def __init__(self, token):
        self.token, self.served, self.failed, self.over = token, 0, [], threading.Event()
        self.threads = [threading.Thread(target=self.come) for _ in range(4)]

    def come(self):
        while not self.over.is_set():
            try:
                status, body = get(token=self.token)
            except Exception as error:  # noqa: BLE001: whatever it is, a client was not served
                status, body = None, repr(error)
            if status == 200:
                self.served += 1
            else:
                self.failed.append((status, body))
            time.sleep(0.02)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        before = self.served
        until("clients are served", lambda: self.served > before + 20)
        return self

    def __exit__(self, *_):
        before = self.served
        until("clients are served again", lambda: self.served > before + 20)
        self.over.set()
        for thread in self.threads:
            thread.join()


def of_process(field):
    status = pathlib.Path(f"/proc/{show('MainPID')}/status").read_text()
    return re.search(rf"^{field}:\s+(.*)$", status, re.M)[1].split()


def inside(*words):
    """What the service itself could do: with its user, and in its view of the files."""
    pid, user = show("MainPID"), of_process("Uid")[0]
    view = ["nsenter", "--target", pid, "--mount", "--setuid", user, "--setgid", user]
    return subprocess.run([*view, *words], capture_output=True, text=True).returncode == 0


def start_anew():
    """With units and sockets as they are now."""
    system("systemctl", "daemon-reload")
    system("systemctl", "stop", "cloister.socket", "cloister.service")
    system("systemctl", "reset-failed", "cloister.service", check=False)
    system("systemctl", "start", "cloister.socket", "cloister.service")


class Trial:
    def __init__(self):
        backend = http.server.ThreadingHTTPServer(("127.0.0.1", 9001), Backend)
        threading.Thread(target=backend.serve_forever, daemon=True).start()
        # The small world is here for its issuer alone.
        demo = subprocess.Popen(
            ["/usr/local/bin/cloister", "demo", "--bind", "127.0.0.1:18080", "--admin", "127.0.0.1:19901"],
            stdout=subprocess.PIPE,
            text=True,
        )
        said = ""
        while "/jwks.json" not in said:
            said = demo.stdout.readline()
        self.issuer = re.search(r"http://[^/]*", said)[0]
        self.config = pathlib.Path("/trial/cloister.yaml").read_text()
        self.config = self.config.replace("http://127.0.0.1:9100/jwks.json", f"{self.issuer}/jwks.json")
        self.config = self.config.replace('"http://127.0.0.1:9100/"', f'"{self.issuer}"')
        CONFIG.write_text(self.config)

    def token(self, user="ada"):
        with urllib.request.urlopen(f"{self.issuer}/token", data=f"user={user}".encode()) as answer:
            text = answer.read().decode()
        return json.loads(text)["access_token"] if text.startswith("{") else text.strip()

    def a_started_service_serves(self):
        system("systemctl", "start", "cloister.socket", "cloister.service")
        until("keys are fetched", lambda: get(token=self.token())[0] == 200)
        assert get(token=self.token()) == (200, "acme")
        assert get()[0] == 401
        assert show("StatusText") == "serving", show("StatusText")

    def it_is_nobody_and_can_do_nothing_that_needs_power(self):
        assert of_process("Uid")[0] != "0", of_process("Uid")
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(of_process(capabilities)[0], 16) == 0, capabilities
        assert of_process("NoNewPrivs") == ["1"]
        assert of_process("Seccomp") == ["2"], "its system calls are filtered"

    def it_writes_nowhere_but_in_its_own_folder(self):
        assert inside("touch", "/var/lib/cloister/trial")
        for folder in ("/etc/cloister", "/usr/local/bin", "/var", "/var/lib", "/home", "/root", "/run", "/sys", "/proc/sys"):
            assert not inside("touch", f"{folder}/trial"), folder
        (STATE / "trial").unlink()
        assert inside("touch", "/tmp/trial") and not pathlib.Path("/tmp/trial").exists(), "its /tmp is its own"
        assert not inside("ls", "/root") and not inside("ls", "/home/.")
        assert not inside("test", "-e", "/dev/mem")

    def its_folder_is_closed_to_others(self):
        for folder in (STATE, STATE / "state", STATE / "audit"):
            assert folder.stat().st_mode & 0o077 == 0, folder
        for file in STATE.rglob("*"):
            assert file.stat().st_mode & 0o077 == 0, file

    def a_reload_takes_new_policies_over_and_a_bad_one_changes_nothing(self):
        tenants = pathlib.Path("/etc/cloister/policies/tenants.yaml")
        before, token = tenants.read_text(), self.token()
        tenants.write_text(before.replace("acme: { status: active }", "acme: { status: suspended }"))
        system("systemctl", "reload", "cloister.service")
        until("the tenant is suspended", lambda: get(token=token)[0] == 403)
        tenants.write_text(before)
        system("systemctl", "reload", "cloister.service")
        until("the tenant is back", lambda: get(token=token)[0] == 200)
        tenants.write_text("tenants: [")
        system("systemctl", "reload", "cloister.service")
        time.sleep(1)
        assert get(token=token)[0] == 200
        tenants.write_text(before)
        until("it is told", lambda: "policies" in system("journalctl", "-u", "cloister", "-o", "cat"))

    def root_takes_tokens_back_and_the_store_stays_the_services(self):
        files = ["--config", str(CONFIG), "--policies", "/etc/cloister/policies"]
        command, bob = ["/usr/local/bin/cloister", "revocations"], self.token("bob")
        assert get(token=bob)[0] == 200
        system(*command, "add", "--issuer", "dev", "--user", "bob", *files)
        until("they are refused", lambda: get(token=bob)[0] == 401, patience=1)
        system("systemctl", "restart", "cloister.service")
        assert get(token=bob)[0] == 401
        system(*command, "remove", "--issuer", "dev", "--user", "bob", *files)
        until("they are good again", lambda: get(token=bob)[0] == 200, patience=1)
        owner = str((STATE / "state").stat().st_uid)
        assert {str(file.stat().st_uid) for file in (STATE / "state").iterdir()} == {owner} == {of_process("Uid")[0]}

    def a_restart_refuses_nobody(self):
        pid = show("MainPID")
        with Crowd(self.token()) as crowd:
            system("systemctl", "restart", "cloister.service")
        assert show("MainPID") != pid
        assert crowd.failed == [], crowd.failed[:3]

    def a_process_that_is_killed_is_started_again_and_the_log_goes_on(self):
        pid, token = show("MainPID"), self.token()
        system("kill", "-KILL", pid)
        until("it is started again", lambda: show("MainPID") not in (pid, "0") and show("ActiveState") == "active")
        until("it serves", lambda: get(token=token)[0] == 200)
        assert show("NRestarts") == "1"

    def a_process_that_hangs_is_noticed(self):
        DROP_IN.parent.mkdir(exist_ok=True)
        DROP_IN.write_text("[Service]\nWatchdogSec=2s\n")
        start_anew()
        pid, token = show("MainPID"), self.token()
        until("it serves", lambda: get(token=token)[0] == 200)
        time.sleep(5)
        assert show("MainPID") == pid, "one that turns is left alone"
        system("kill", "-STOP", pid)
        until("it is started again", lambda: show("MainPID") not in (pid, "0") and show("ActiveState") == "active")
        until("it serves", lambda: get(token=token)[0] == 200)
        DROP_IN.unlink()

    def files_that_are_not_as_they_must_be_are_told_once(self):
        CONFIG.write_text(self.config.replace("version: 1", "version: 1\nunheard_of: 1"))
        system("systemctl", "daemon-reload")
        system("systemctl", "restart", "cloister.service", check=False)
        until("it has failed", lambda: show("ActiveState") == "failed")
        time.sleep(3)
        assert (show("ActiveState"), show("ExecMainStatus")) == ("failed", "2")
        assert "unheard_of" in system("journalctl", "-u", "cloister", "-o", "cat")
        CONFIG.write_text(self.config)
        start_anew()

    def port_443_and_a_key_of_roots_are_passed_to_it(self):
        system(
            *"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=acme.localhost".split(),
            *"-addext subjectAltName=DNS:acme.localhost -keyout /etc/cloister/tls.key -out /etc/cloister/tls.pem".split(),
        )
        os.chmod("/etc/cloister/tls.pem", 0o644)
        listener = (
            '  - bind: "0.0.0.0:443"\n    tls:\n      certificates:\n        - certificate: /etc/cloister/tls.pem\n'
            "          key: /run/credentials/cloister.service/tls.key\n"
        )
        CONFIG.write_text(self.config.replace("listeners:\n", f"listeners:\n{listener}", 1))
        DROP_IN.write_text("[Service]\nLoadCredential=tls.key:/etc/cloister/tls.key\n")
        SOCKETS.parent.mkdir(exist_ok=True)
        SOCKETS.write_text("[Socket]\nListenStream=0.0.0.0:443\n")
        start_anew()
        self.serves_on_443()
        assert of_process("CapEff") == ["0000000000000000"]
        assert not inside("cat", "/etc/cloister/tls.key")

    def without_sockets_it_has_the_one_power_that_it_needs(self):
        DROP_IN.write_text(
            "[Service]\nLoadCredential=tls.key:/etc/cloister/tls.key\n"
            "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n"
        )
        system("systemctl", "daemon-reload")
        system("systemctl", "stop", "cloister.socket", "cloister.service")
        system("systemctl", "mask", "--runtime", "cloister.socket")
        system("systemctl", "start", "cloister.service")
        self.serves_on_443()
        assert int(of_process("CapEff")[0], 16) == 1 << 10, of_process("CapEff")

    def serves_on_443(self):
        tls = ssl.create_default_context(cafile="/etc/cloister/tls.pem")
        # http.client asks for the name that it connects to, so the name has to lead here.
        hosts = pathlib.Path("/etc/hosts")
        if "acme.localhost" not in hosts.read_text():
            hosts.write_text(hosts.read_text() + "127.0.0.1 acme.localhost\n")

        def ask():
            connection = http.client.HTTPSConnection("acme.localhost", 443, timeout=20, context=tls)
            connection.request("GET", "/api/orders", headers={"authorization": f"Bearer {self.token()}"})
            return connection.getresponse().status

        until("it serves over TLS", lambda: ask() == 200)

    def it_ends_in_order_and_its_log_is_whole(self):
        system("systemctl", "stop", "cloister.service")
        assert (show("Result"), show("ExecMainStatus")) == ("success", "0")
        system("/usr/local/bin/cloister", "audit", "verify", "--dir", str(STATE / "audit"))


def main():
    trial, wrong = Trial(), 0
    for name, step in vars(Trial).items():
        if name.startswith(("_", "token", "serves")):
            continue
        began = time.monotonic()
        outcome, why = "ok", ""
        try:
            step(trial)
        except Exception:  # noqa: BLE001: the others are tried all the same
            outcome, wrong = "FAILED", wrong + 1
            why = f"\n{traceback.format_exc()}{system('journalctl', '-u', 'cloister', '-n', '15', '-o', 'cat')}"
        print(f"{outcome:6}  {time.monotonic() - began:5.1f} s  {name.replace('_', ' ')}{why}", flush=True)
    print("all of it is so" if wrong == 0 else f"{wrong} of it is not so", flush=True)


main()
