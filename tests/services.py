#!/usr/bin/env python3
"""Runs a command with the servers that some tests want, and says which suites go without.

    python3 tests/services.py [--require] COMMAND...

Elasticsearch: the one that FENZHEN_TEST_ELASTICSEARCH names, else noida-db (PyPI), a small program that speaks its protocol, installed once into
~/.cache/fenzhen-noida and started on a free port for as long as the command runs. With --require a server that cannot be had is an error.
"""

import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

VERSION = "0.2.3"
HOME = pathlib.Path.home() / ".cache" / "fenzhen-noida"


def installed():
    program = HOME / "bin" / "noida-db"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
        pip = [HOME / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", f"noida-db=={VERSION}"]
        subprocess.run(pip, check=True)
    return program


def started(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [installed(), "start", "--only", "elasticsearch", "--elasticsearch-port", str(port), "--data-dir", folder]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(100):
        try:
            urllib.request.urlopen(url, timeout=1).read()
            return server, url
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.1)
    server.kill()
    raise RuntimeError("noida-db did not start")


def main():
    arguments = sys.argv[1:]
    required = arguments[:1] == ["--require"]
    command = arguments[1:] if required else arguments
    environment, server = dict(os.environ), None
    with tempfile.TemporaryDirectory() as folder:
        if "FENZHEN_TEST_ELASTICSEARCH" not in environment:
            try:
                server, environment["FENZHEN_TEST_ELASTICSEARCH"] = started(folder)
            except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
                if required:
                    sys.exit(f"no server for the Elasticsearch suite: {error}")
        try:
            code = subprocess.run(command, env=environment).returncode
        finally:
            if server:
                server.terminate()
                server.wait()
    if "FENZHEN_TEST_ELASTICSEARCH" not in environment:
        print("skipped: the Elasticsearch suite (noida-db could not be installed or started; FENZHEN_TEST_ELASTICSEARCH names a server)")
    sys.exit(code)


if __name__ == "__main__":
    main()
