#!/usr/bin/env python3
"""A worker that misbehaves: it speaks the protocol up to a point, and then does what DDPIPE_FAKE says."""
import json, os, signal, socket, struct, sys, time

args = dict(zip(sys.argv[1::2], sys.argv[2::2]))
mode = os.environ.get("DDPIPE_FAKE", "")
sock = socket.socket(socket.AF_UNIX)


def raw(data):
    sock.sendall(data)


def say(**message):
    body = json.dumps(message).encode()
    raw(struct.pack("<I", len(body)) + body)


def hear():
    head = b""
    while len(head) < 4:
        more = sock.recv(4 - len(head))
        if not more:
            sys.exit(0)
        head += more
    length, body = struct.unpack("<I", head)[0], b""
    while len(body) < length:
        body += sock.recv(length - len(body))
    return json.loads(body)


def done(id, job, digest="00" * 32):
    made = {name: {"digest": digest, "bytes": 3, "type": kind} for name, kind in job["outputs"].items()}
    say(type="done", id=id, outputs=made, metrics={}, seconds=0.1, peak_memory=None)


if mode == "dies at once":
    sys.exit("no such device")
sock.connect(args["--socket"])
protocol = 1 if mode == "other version" else 3
if mode == "other hello":
    say(type="hello", protocol=4, words="of a later version")
elif mode == "no hello":
    say(type="stored", id=1)
else:
    say(type="hello", protocol=protocol, pid=os.getpid(), device="cpu", device_name="fake", libtorch="none")
while True:
    job = hear()
    if job["type"] == "shutdown":
        sys.exit(0)
    if job["type"] == "cancel":
        continue
    id = job["id"]
    if mode == "unknown message":
        say(type="sings", id=id, song="la")
    elif mode == "oversized frame":
        raw(struct.pack("<I", 200 << 20) + b"x" * 1000)
    elif mode == "cut frame":
        raw(struct.pack("<I", 1000) + b"half")
        sock.shutdown(socket.SHUT_RDWR)
    elif mode == "cut and dies":
        raw(struct.pack("<I", 1000) + b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    elif mode == "done twice":
        done(id, job)
        done(id, job)
    elif mode == "stored before done":
        say(type="stored", id=id)
    elif mode == "lying digests":
        done(id, job)
        say(type="stored", id=id)
    elif mode == "flood":
        line = "x" * 200
        for number in range(int(os.environ["DDPIPE_FLOOD"])):
            say(type="log", id=id, level="info", text=f"{number} {line}")
        say(type="failed", id=id, cause="error", message="tired of talking", hint=None)
    elif mode == "closes":
        sock.shutdown(socket.SHUT_RDWR)
    elif mode == "fails with 75 once":
        first = not os.path.exists("tried")
        open("tried", "w").close()
        status = 75 if first else 7
        say(type="failed", id=id, cause="error", message=f"own.count: count.py exited with status {status}", hint=None)
    # "silent", and what is left to do in the other modes: nothing.
    if mode in ("closes", "cut frame"):
        time.sleep(600)
