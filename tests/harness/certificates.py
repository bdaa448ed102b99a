"""Certificates of authorities, servers and clients, made by ``openssl`` for the address 127.0.0.1."""

import subprocess
from pathlib import Path


def certificate(directory: Path, name: str, issuer: str = "") -> None:
    """``name``.pem and ``name``.key, self-signed or signed by ``issuer``."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split()
    command += ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
    command += ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key"] if issuer else []
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
