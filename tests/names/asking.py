"""A zone's name server, and a stack whose names it answers for."""

from contextlib import contextmanager

from lab.cloud.dns import Zone
from tests.catalogue.changes import configured
from tests.support import catalogue

ADDRESS = "192.0.2.10"


@contextmanager
def served(records):
    """A DNS server on a port of 127.0.0.1; `records` may change meanwhile."""
    from dnslib.server import DNSServer

    server = DNSServer(Zone(lambda: records), address="127.0.0.1", port=0)
    server.start_thread()
    try:
        yield f"127.0.0.1:{server.server.server_address[1]}"
    finally:
        server.stop()
        server.server.server_close()


def entry(name, kind, *values, ttl=60):
    return {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": value} for value in values]}


def at(server, **more):
    return catalogue(config=configured(nameServers=[server], **more))
