"""The lab's certificate authority: one root per lab, and a certificate for each of its servers."""

import datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.writing import put

DAY = datetime.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _write(path: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path.with_suffix(".crt"), certificate.public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    put(path.with_suffix(".key"), key.private_bytes(encoding, form, serialization.NoEncryption()), 0o600)


def make_root(path: Path) -> None:
    """`PATH.crt` and `PATH.key`, once."""
    if path.with_suffix(".crt").exists():
        return
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = _name("watchme-infra rehearsal root (test equipment)")
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - DAY, now + 3650 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(path, key, certificate)


def issue(root: Path, path: Path, names: list[str]) -> None:
    """A server certificate for names and addresses, signed by the root at `root`."""
    issuer = x509.load_pem_x509_certificate(root.with_suffix(".crt").read_bytes())
    signer = serialization.load_pem_private_key(root.with_suffix(".key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    alternatives = [
        x509.IPAddress(ip_address(name)) if name.replace(".", "").isdigit() else x509.DNSName(name) for name in names
    ]
    certificate = (
        x509.CertificateBuilder(
            issuer.subject,
            _name("rehearsal"),
            key.public_key(),
            x509.random_serial_number(),
            now - DAY,
            now + 3650 * DAY,
        )
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    _write(path, key, certificate)
