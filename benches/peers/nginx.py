"""nginx, passing requests on and doing nothing else."""

from pathlib import Path

from .peer import Start
from .world import World


def nginx(world: World, folder: Path, port: int) -> Start:
    tls = " ssl http2" if world.tls else ""
    files = f"ssl_certificate {world.certificate}; ssl_certificate_key {world.key};" if world.tls else ""
    config = folder / "nginx.conf"
    config.write_text(f"""
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; http2_max_concurrent_streams 128;
  upstream backend {{ server 127.0.0.1:{world.backend_port}; keepalive 128; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port}{tls}; {files}
    location / {{ proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
""")
    return Start([world.binaries["nginx"], "-c", str(config), "-p", str(folder)])
