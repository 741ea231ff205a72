#!/usr/bin/env python3
"""Reports an edge to Tidegate's redirectors, for machines that cannot run tidegate-agent.

Needs Python 3.9 and the package cryptography (44 or later, or argon2-cffi too, for text keys).
What the bytes mean stands in docs/heartbeat.md.
"""
import argparse, base64, os, random, re, signal, socket, struct, sys, threading, time, uuid

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HEARTBEAT, GOODBYE = 1, 2  # kinds of datagrams
RUNNING, STOPPED = 1, 3  # what an edge says of itself
SESSION_S_MAX, SEQUENCE_MAX = 24 * 3600, 2**20


def hkdf(key, info, length=32, salt=None):
    return HKDF(hashes.SHA256(), length, salt, info).derive(key)


def stretch(text):
    """The fleet key that a text key stands for."""
    if len(text) < 12:
        raise ValueError("a text key needs at least 12 characters")
    salt = b"tidegate ehb1 v1"
    try:
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
    except ImportError:
        from argon2.low_level import Type, hash_secret_raw
        return hash_secret_raw(text.encode(), salt, 3, 65536, 1, 32, Type.ID)
    strong = Argon2id(salt=salt, length=32, iterations=3, lanes=1, memory_cost=65536)
    return strong.derive(text.encode())


def unpack(code):
    key = base64.b64decode(code.rstrip("=") + "=", altchars="-_", validate=True)
    if len(key) != 32:
        raise ValueError("a key is 32 bytes as base64url")
    return key


def read_key(text, own_id):
    """Key id, edge's UUID and edge key of a key in any form; `own_id` is asked for the UUID."""
    if text.startswith("ehb1e:"):
        _, key_id, edge, code = text.split(":")
        return bytes.fromhex(key_id), uuid.UUID(edge).bytes, unpack(code)
    bare = text[5:] if text.startswith(("ehb1:", "text:")) else text
    fleet, edge = unpack(bare) if text.startswith("ehb1:") else stretch(bare), own_id()
    return hkdf(fleet, b"ehb1 key id", 4), edge, hkdf(fleet, b"ehb1 edge key" + edge)


def heartbeat_key(edge_key, session):
    return hkdf(edge_key, b"ehb1 session \0", salt=session + bytes(16))


def seal(key, kind, key_id, edge, session, sent_at_ms, salt, sequence, payload):
    """One datagram. The header is the associated data; salt and sequence are the nonce."""
    header = struct.pack(">3sBBBH4s16s16sQ4sQ", b"EHB", 1, kind, 0, 0, key_id, edge, session,
                         sent_at_ms, salt, sequence)
    plain = struct.pack(">H", len(payload)) + payload
    plain += bytes(-len(plain) % 64)
    return header + AESGCM(key).encrypt(salt + sequence.to_bytes(8, "big"), plain, header)


def varint(number):
    return bytes([number & 127 | 128]) + varint(number >> 7) if number > 127 else bytes([number])


def field(number, value):
    """A protobuf field: a number, or a text or message with its length before it."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def payload(options, status, target_count):
    """The message Heartbeat. What is not known is left out: it is never 0."""
    said = field(1, status) + field(2, options.name) + field(3, options.redirect_address)
    for scheme, port in options.endpoint:
        said += field(4, field(1, scheme) + field(2, port))
    try:
        with open(options.viewers_file) as file:
            viewers = int(file.read(16))
        if not 0 <= viewers <= 10_000_000:
            raise ValueError("out of bounds")
        said += field(7, field(1, viewers))
    except (OSError, ValueError):  # Trouble keeps new viewers away until the file is right again.
        said += field(9, field(1, "source_unreadable") + field(2, "no number in the viewers file"))
    return said + field(8, round(options.interval * 1000)) + field(11, target_count)


class Target:
    """One redirector, with a session and a sequence of its own."""

    def __init__(self, host, port, key):
        self.address, (self.key_id, self.edge, self.edge_key) = (host, port), key
        self.socket = None
        self.begin_session()

    def begin_session(self):
        self.began, self.sequence = time.monotonic(), 0
        self.session = struct.pack(">Q", round(time.time() * 1000)) + os.urandom(8)
        self.key = heartbeat_key(self.edge_key, self.session)

    def send(self, kind, message):
        if time.monotonic() - self.began > SESSION_S_MAX or self.sequence >= SEQUENCE_MAX:
            self.begin_session()
        self.sequence += 1
        datagram = seal(self.key, kind, self.key_id, self.edge, self.session,
                        round(time.time() * 1000), os.urandom(4), self.sequence, message)
        try:
            if self.socket is None:
                found = socket.getaddrinfo(*self.address, type=socket.SOCK_DGRAM)[0]
                self.socket = socket.socket(*found[:2])
                self.socket.connect(found[4])
            self.socket.send(datagram)
        except OSError as error:
            print(f"{self.address[0]}: {error}", file=sys.stderr)
            self.socket = None  # The name is looked up again for the next heartbeat.


def read_targets(path, own_id):
    """Lines `host,port,key`; `#` begins a comment at the start or after a blank."""
    if os.stat(path).st_mode & 0o037:
        sys.exit(f"{path} is open to others: chmod 600 {path}")
    targets = []
    for number, line in enumerate(open(path), 1):
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        try:
            if line:
                host, port, key = (part.strip() for part in line.split(",", 2))
                targets.append(Target(host.strip("[]"), int(port), read_key(key, own_id)))
        except ValueError as error:
            sys.exit(f"{path}, line {number}, is no host,port,key: {error}")
    return targets or sys.exit(f"{path}: there is no redirector to report to")


def read_id(path):
    """The edge's UUID, made once and kept. A copy on another machine would be the same edge."""
    if not os.path.exists(path):
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(str(uuid.uuid4()))
    with open(path) as file:
        return uuid.UUID(file.read().strip()).bytes


def endpoint(text):
    scheme, port = text.split(":")
    return scheme, int(port)


def read_options():
    parser = argparse.ArgumentParser(
        description="Reports an edge to Tidegate's redirectors until SIGTERM, then says goodbye.",
        epilog="Example: heartbeat.py --name edge-1 --viewers-file /run/viewers --endpoint http:8080")
    say = parser.add_argument
    say("--targets", default="loadbalancertargets.txt", metavar="FILE",
        help="lines host,port,key with a key of the form ehb1:, ehb1e: or text (%(default)s)")
    say("--name", required=True, help="what operators call the edge; a DNS name")
    say("--viewers-file", required=True, metavar="FILE",
        help="holds the number of viewers; replace it by rename")
    say("--redirect-address", default="", metavar="HOST",
        help="where clients are sent; if left out, where the heartbeats come from")
    say("--endpoint", type=endpoint, action="append", default=[], metavar="SCHEME:PORT",
        help="what clients may be sent to, such as http:8080; repeat it for more; "
             "if left out, any scheme on the client's own port")
    say("--id-file", default="edge-id", metavar="FILE",
        help="keeps the edge's UUID, unless the key is of the form ehb1e: (%(default)s)")
    say("--interval", type=float, default=2.5, metavar="SECONDS",
        help="time between two heartbeats, 0.1 to 60 (%(default)s)")
    return parser.parse_args()


def main():
    options, stop = read_options(), threading.Event()
    targets = read_targets(options.targets, lambda: read_id(options.id_file))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def tell(kind, status):
        message = payload(options, status, len(targets))
        for target in targets:
            target.send(kind, message)

    tell(HEARTBEAT, RUNNING)
    while not stop.wait(options.interval * random.uniform(0.9, 1.1)):
        tell(HEARTBEAT, RUNNING)
    for pause in (0, 0.1, 0.2):  # One of three arrives.
        time.sleep(pause)
        tell(GOODBYE, STOPPED)


if __name__ == "__main__":
    main()
