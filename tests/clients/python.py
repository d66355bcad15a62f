"""What Python's clients see of a gateway: httpx over HTTP/1.1 and HTTP/2, grpcio over TLS. Prints one JSON object.

    python.py http URL CA TOKEN        python.py grpc ADDRESS CA TOKEN
"""

import json
import sys

import grpc
import httpx


def http(url: str, ca: str, token: str) -> dict:
    bearer = {"authorization": f"Bearer {token}"}
    seen = {}
    for name, settings in (("h1", {}), ("h2", {"http1": False, "http2": True})):
        with httpx.Client(verify=httpx.create_ssl_context(verify=ca), timeout=20, **settings) as client:
            read = client.get(f"{url}/orders/1", headers=bearer)
            nobody = client.get(f"{url}/orders/1")
            chunks = (b"x" * 1000 for _ in range(200))
            sent = client.post(f"{url}/upload", headers=bearer, content=chunks)
            with client.stream("GET", f"{url}/orders/stream", headers=bearer) as stream:
                events = [line for line in stream.iter_lines() if line]
            cookies = client.get(f"{url}/orders/1", headers=bearer, cookies={"a": "1", "b": "2"})
        seen[name] = {
            "version": read.http_version,
            "status": read.status_code,
            "body": read.text,
            "nobody": [nobody.status_code, nobody.headers["content-type"], nobody.headers["www-authenticate"]],
            "upload": [sent.status_code, sent.text],
            "events": events,
            "cookies": cookies.status_code,
        }
    return seen


def calls(address: str, ca: str, token: str) -> dict:
    with open(ca, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    with grpc.secure_channel(address, credentials) as channel:
        get, listed = channel.unary_unary("/orders.Orders/Get"), channel.unary_stream("/orders.Orders/List")
        bearer = (("authorization", f"Bearer {token}"),)
        answer, call = get.with_call(b"seven", metadata=bearer, timeout=20)
        stream = listed(b"", metadata=bearer, timeout=20)
        messages = [message.decode() for message in stream]
        return {
            "get": answer.decode(),
            "cost": dict(call.trailing_metadata()).get("x-cost"),
            "list": messages,
            "code": stream.code().name,
            "nobody": refused(get, ()),
            "nowhere": refused(channel.unary_unary("/orders.Orders/Nothing"), bearer),
            "late": refused(listed, bearer, timeout=0.08),
        }


def refused(call, metadata: tuple, timeout: float = 20) -> str:
    try:
        answer = call(b"", metadata=metadata, timeout=timeout)
        if not isinstance(answer, bytes):
            list(answer)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    print(json.dumps({"http": http, "grpc": calls}[what](*arguments)))
