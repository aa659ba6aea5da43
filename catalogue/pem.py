"""Texts in PEM: what a certificate with its chain, and a private key, look like."""

import re

BLOCK = re.compile(
    r"-----BEGIN (?P<label>[A-Z0-9 ]+)-----\r?\n(?:[A-Za-z-]+: .*\r?\n)*\s*[A-Za-z0-9+/=\r\n]+?-----END (?P=label)-----"
)
KEYS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")


def _labels(text: str) -> list[str]:
    return [match["label"] for match in BLOCK.finditer(text)]


def is_pem(text: str) -> bool:
    return "-----BEGIN " in text


def chain_fault(text: str) -> str:
    """What is wrong with a certificate and its chain, without a word of it; "" where it looks like one."""
    labels = _labels(text)
    if any(label.endswith("PRIVATE KEY") for label in labels):
        return "has a private key beside the certificate"
    if not labels or {*labels} != {"CERTIFICATE"}:
        return "is no certificate in PEM"
    return ""


def key_fault(text: str) -> str:
    """What is wrong with a private key; "" where it looks like one."""
    keys = [label for label in _labels(text) if label.endswith("PRIVATE KEY")]
    if "ENCRYPTED PRIVATE KEY" in keys or "Proc-Type: 4,ENCRYPTED" in text:
        return "needs a passphrase, which no proxy has"
    if len(keys) != 1 or keys[0] not in KEYS:
        return "is not one private key in PEM"
    return ""
