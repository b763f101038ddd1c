#!/usr/bin/env python3
"""Runs an image's folder as an engine would: its user, its environment, its working folder, a network of its own in which
its port is free. Walks the way of an admin: start, health check, no entry without a key, a first key, entry with it,
an inference engine that works, stop. Called by build.py.
"""

import ctypes
import fcntl
import json
import os
import pathlib
import pwd
import shlex
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def main():
    root, user, folder, environment, entrypoint, command, health = sys.argv[1:]
    own_network()
    image = Image(root, user, folder, dict(item.split("=", 1) for item in shlex.split(environment)))
    url = "http://127.0.0.1:" + image.environment["JOULEMARK_LISTEN"].rsplit(":", 1)[1]
    server = image.start(shlex.split(command))
    try:
        wait_for_health(image, shlex.split(health), server)
        print("healthy by the image's own check")
        status, body = get(f"{url}/v1/devices")
        check(status == 401, f"without a key it answers {status}: {body}")
        made = image.output([*shlex.split(entrypoint), "key", "create", "--name", "ada", "--role", "admin"])
        status, body = get(f"{url}/v1/devices", made.strip())
        check(status == 200 and "cpu" in json.loads(body), f"with the first key it answers {status}: {body}")
        check(get(f"{url}/v1/devices", made.strip() + "0")[0] == 401, "a wrong key is let in")
        owner = pathlib.Path(f"/proc/{server.pid}/status").read_text()
        uid = next(line.split()[1] for line in owner.splitlines() if line.startswith("Uid:"))
        check(uid != "0", "it runs as root")
        print(f"runs as uid {uid}, asks for a key, takes the first one that is made")
        # It ends with a failure where nothing measures energy, as in a container.
        said = image.output([*shlex.split(entrypoint), "doctor", "--json"], may_fail=True)
        engines = json.loads(said)["engines"]
        check([engine["works"] for engine in engines] == [True], f"the engine does not work: {engines}")
        print(f"its engine is {engines[0]['program']}")
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(timeout=30)
    check(code == 0, f"it ends with {code} on SIGTERM")
    print("ends in order on SIGTERM")


def check(good, message):
    if not good:
        sys.exit(f"failed: {message}")


class Image:
    def __init__(self, root, user, folder, environment):
        self.root, self.folder, self.environment = root, folder, environment
        # An engine reads the image's own users, and takes a number as it is.
        passwd = [line.split(":") for line in pathlib.Path(root, "etc/passwd").read_text().splitlines()]
        entry = next(entry for entry in passwd if user in (entry[0], entry[2]))
        self.uid, self.gid, self.environment["HOME"] = int(entry[2]), int(entry[3]), entry[5]

    def enter(self):
        os.chroot(self.root)
        os.chdir(self.folder)
        os.setgroups([])
        os.setgid(self.gid)
        os.setuid(self.uid)

    def start(self, command):
        return subprocess.Popen(command, preexec_fn=self.enter, env=self.environment)

    def output(self, command, may_fail=False):
        return subprocess.run(command, preexec_fn=self.enter, env=self.environment, check=not may_fail, text=True,
                              stdout=subprocess.PIPE).stdout


def own_network():
    libc = ctypes.CDLL(None, use_errno=True)
    check(libc.unshare(CLONE_NEWNET | CLONE_NEWNS) == 0, f"unshare: {os.strerror(ctypes.get_errno())}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for name in ("proc", "dev"):
        subprocess.run(["mount", "--rbind", f"/{name}", pathlib.Path(sys.argv[1], name)], check=True)


def wait_for_health(image, command, server):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        check(server.poll() is None, "it ended before it was healthy")
        if subprocess.run(command, preexec_fn=image.enter, env=image.environment, stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.2)
    check(False, "it is never healthy")


def get(url, key=None):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


if __name__ == "__main__":
    main()
