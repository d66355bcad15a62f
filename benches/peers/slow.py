"""Clients that hold on to a proxy and give it next to nothing: run as a program, since its loop is nobody else's.

Each that is cut comes back, so that the proxy always has as many as it lets in. Four kinds take turns: one says nothing,
one drips a head, one drips a body behind a good head, one asks for much and never reads.
"""

import asyncio
import json
import signal
import socket
import ssl
import sys
from itertools import count

PAUSE = 2  # seconds between two bytes


class Crowd:
    def __init__(self, port: int, tls: str, token: str, path: str, large: str):
        self.port, self.held, self.came = port, 0, 0
        fields = f"Host: localhost\r\nAuthorization: Bearer {token}\r\n"
        self.whole, self.large, self.with_body = (
            f"GET {target} HTTP/1.1\r\n{fields}{more}\r\n".encode()
            for target, more in ((f"{path}/1", ""), (large, ""), (f"{path}/1", "Content-Length: 1000\r\n"))
        )
        self.context = None
        if tls:
            self.context = ssl.create_default_context()
            self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE

    async def one(self, kind: int) -> None:
        while True:
            writer = None
            try:
                reader, writer = await self.connect(kind)
                self.held += 1
                self.came += 1
                try:
                    await self.hold(kind, reader, writer)
                finally:
                    self.held -= 1
            except OSError:
                pass
            finally:
                if writer:
                    writer.transport.abort()
            await asyncio.sleep(PAUSE)

    async def connect(self, kind: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", self.port))
        tls = self.context if kind else None  # who says nothing does not begin a handshake either
        name = "localhost" if tls else None
        reader, writer = await asyncio.open_connection(sock=plain, ssl=tls, server_hostname=name, limit=1)
        if kind == 3:
            writer.transport.pause_reading()
        return reader, writer

    async def hold(self, kind: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Returns when the proxy has had enough of it, and ends the connection."""
        writer.write({2: self.with_body, 3: self.large}.get(kind, b""))
        for at in count():
            if kind == 3:
                await asyncio.sleep(PAUSE)
                if writer.transport.is_closing():
                    return
                continue
            writer.write({1: self.whole[at : at + 1], 2: b"x"}.get(kind, b""))
            try:
                if not await asyncio.wait_for(reader.read(4096), PAUSE):
                    return
            except TimeoutError:
                continue


async def main(port: str, tls: str, number: str, token: str, path: str, large: str) -> None:
    crowd = Crowd(int(port), tls, token, path, large)
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    clients = []
    for client in range(int(number)):
        clients.append(asyncio.create_task(crowd.one(client % 4)))
        if client % 50 == 49:
            await asyncio.sleep(0.02)
    print("there", flush=True)
    held = []
    while not end.is_set():
        held.append(crowd.held)
        try:
            await asyncio.wait_for(end.wait(), 0.5)
        except TimeoutError:
            pass
    print(json.dumps({"held": sorted(held)[len(held) // 2], "came": crowd.came}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
