"""Proxies that do the work of a security gateway, and what is needed to compare them.

`PEERS` is the order of the table. To add one: a file here with a function that takes a World, a folder of its own and a
port, writes what its proxy reads, and gives a Start; then a line below.
"""

from .cloister import per_request, reuse
from .envoy import envoy
from .floor import floor
from .haproxy import haproxy
from .nginx import nginx
from .peer import Peer, Unavailable

PEERS = [
    Peer("pingora", "floor", floor, guards=False, about="a bare proxy on the same framework, none of the work"),
    Peer("nginx", "nginx", nginx, guards=False, about="none of the work"),
    Peer("haproxy", "haproxy", haproxy, guards=True, about="jwt_verify, ACLs, stick table, log"),
    Peer("envoy", "envoy", envoy, guards=True, about="jwt_authn with its cache, rbac, local_ratelimit, access log"),
    Peer("cloister", "cloister", reuse, guards=True, about="assertion reused, each request signed with an HMAC"),
    Peer("cloister-10k", "cloister", reuse, guards=True, about="the same with 10,000 issuers and 10,000 tenants", issuers=10_000),
    Peer("cloister-per-request", "cloister", per_request, guards=True, about="a new ES256 assertion for each request"),
]

__all__ = ["PEERS", "Peer", "Unavailable"]
