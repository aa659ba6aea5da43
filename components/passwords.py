"""Passwords of sites' users as the proxies read them: hashes, so that no host has the words themselves in a file."""

import base64
import hmac
from functools import lru_cache

import bcrypt

from catalogue.rules.sites import LONGEST_PASSWORD

ROUNDS = 8  # of each request that carries a password some 10 ms


@lru_cache(maxsize=256)
def hash_password(key: str, user_of: str, password: str) -> str:
    """The bcrypt hash of a password: the same each time, or each release would be a change. Its salt follows from the
    stack's own `key` and from whose it is (`user_of`), and cannot be known without the key."""
    digest = hmac.new(key.encode(), f"{user_of}\0{password}".encode(), "sha256").digest()[:16]
    # Of 22 characters the last holds four bits, of which bcrypt writes the first two
    salt = base64.b64encode(digest, b"./").decode().rstrip("=")
    return bcrypt.hashpw(
        password.encode()[:LONGEST_PASSWORD], f"$2b${ROUNDS}${_in_bcrypts_alphabet(salt)}".encode()
    ).decode()


def _in_bcrypts_alphabet(text: str) -> str:
    plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./"
    bcrypts = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return text.translate(str.maketrans(plain, bcrypts))
