"""What the framework costs while it decides nothing: benches/floor."""

from pathlib import Path

from .peer import Start
from .world import World


def floor(world: World, _folder: Path, port: int) -> Start:
    files = [str(world.certificate), str(world.key)] if world.tls else []
    return Start([world.binaries["floor"], str(port), str(world.backend_port), *files])
