"""Bad YAML and bad configuration: one line each, naming file, place, what was found and what is allowed."""

import re
from datetime import date

import pytest
import yaml

from catalogue.encrypted_values import ENCRYPTED
from catalogue.files import read_yaml
from catalogue.loading import load, read_system
from catalogue.problems import CatalogueError
from catalogue.stack import Stack, read_stack
from tests.support import PROD, ROOT, WATCHME, catalogue, stack

BAD_YAML = {
    "an empty service": ("services:\n", "services:\n  -\n", "service number 1: kind nothing; kinds: compose"),
    "a service that is a text": ("services:\n", "services:\n  - web\n", "service number 1: kind 'web'; kinds: compose"),
    "a service that is a list": ("services:\n", "services:\n  - [1]\n", "service number 1: kind a list; kinds: compose"),
    "unknown field": ("    port: 8017", "    port: 8017\n    prot: 8017", "service ast-api: prot: unknown field 'prot'; did you mean 'port'"),
    "unknown route field": ("{public: /avatar/,", "{public: /avatar/, maxbody: 1m,", "routes.0.maxbody: unknown field 'maxbody'; did you mean 'max_body'"),
    "wrong type": ("    port: 8017", '    port: "8017"', "service ast-api: port: found '8017'; a port, without quotes: 1 to 65535"),
    "missing": ("    image: {repository: watchme-api-ast, tag: latest}\n", "", "service ast-api: image: field 'image' is missing"),
    "bad size": ("limit: 2g,", "limit: 2gb,", "memory.limit: found '2gb'; '2gb' is not a size"),
    "unquoted tag": ("watchme-api-ast, tag: latest", "watchme-api-ast, tag: 9", 'image.tag: found 9; write it in quotes: "9"'),
    "bad tag": ("watchme-api-ast, tag: latest", "watchme-api-ast, tag: a b", "image.tag: found 'a b'"),
    "bad compose file": ("compose_file: docker-compose.all.yml", "compose_file: ../all.yml", "compose_file: found '../all.yml'"),
    "bad method": ("[GET, POST, DELETE, OPTIONS]", "[GET, PSOT]", "service avatar-uploader: routes.0.methods.1: found 'PSOT'"),
    "unknown kind": ("kind: compose\n    purpose: Sound", "kind: compos\n    purpose: Sound", "service ast-api: kind 'compos'; kinds: compose"),
    "retired with a container": ("    replaced_by: ast-api", "    replaced_by: ast-api\n    container: sed-api", "service sed-api: container: unknown field"),
    "retired with an address": ("    replaced_by: ast-api", "    replaced_by: ast-api\n    address: 172.27.0.12", "service sed-api: address: unknown field"),
    "key twice": ("    port: 8017", "    port: 8017\n    port: 8018", "key 'port' is defined twice"),
    "other name": ("system: watchme", "system: watchmen", "system: found 'watchmen'; the file's name, 'watchme'"),
    "no YAML": ("sites:", "sites: [", "write valid YAML"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line"), BAD_YAML.values(), ids=BAD_YAML)
def test_bad_system(tmp_path, old, new, line):
    text = (ROOT / "files/systems/watchme.yaml").read_text()
    assert old in text
    path = tmp_path / "watchme.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(CatalogueError) as error:
        read_system(path)
    assert line in str(error.value)
    assert str(error.value).startswith("error: files/systems/watchme.yaml: ")


SIMPLER = {
    "memory: {limit: 2g, observed: 2g}": ("memory: 2g", "memory: found '2g'; a mapping, such as memory: {limit: 512m}"),
    "image: {repository: watchme-api-ast, tag: latest}": (
        "image: ast:latest", "image: found 'ast:latest'; a mapping, such as image: {repository: notes-api, tag: latest}",
    ),
    "unit: watchme-ast-api.service": ("unit: ast", "unit: found 'ast'; a unit with its ending, such as notes-worker.service"),
    "directory: /home/ubuntu/api_ast": ("directory: api_ast", "directory: found 'api_ast'; a path from the root, such as"),
    "container: ast-api": ("secrets: {DB_PASSWORD: hunter2}\n    container: ast-api", "secrets: found a mapping; a list, such as secrets: [DB_PASSWORD], only the names"),
    "routes: [{public: /behavior-features/}]": ("routes: /ast/", "routes: found '/ast/'; a list, such as routes: [{public: /api/}]"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line"), [(old, *given) for old, given in SIMPLER.items()], ids=SIMPLER)
def test_short_form_in_place_of_a_mapping_is_shown_in_full(tmp_path, old, new, line):
    text = (ROOT / "files/systems/watchme.yaml").read_text()
    start = text.index("- name: ast-api")
    assert old in text[start:], text[start : start + 600]
    path = tmp_path / "watchme.yaml"
    path.write_text(text[:start] + text[start:].replace(old, new, 1))
    with pytest.raises(CatalogueError) as error:
        read_system(path)
    assert f"service ast-api: {line}" in str(error.value) and "hunter2" not in str(error.value)


# What YAML makes something else of than the text that stands there
READINGS = [
    "1.10",
    "0123",
    "0700",
    "on",
    "no",
    "True",
    "yes",
    "2026-01-02",
    "0x1F",
    "1_000",
    ".5",
    ".inf",
    "-0",
]


@pytest.mark.parametrize("raw", READINGS)
def test_the_message_quotes_the_file_and_its_advice_works(tmp_path, raw):
    path = tmp_path / "watchme.yaml"
    text = (ROOT / "files/systems/watchme.yaml").read_text()
    path.write_text(re.sub("purpose: .*", f"purpose: {raw}", text, count=1))
    with pytest.raises(CatalogueError) as error:
        read_system(path)
    found, quoted = re.search(r"purpose: found (.*); write it in quotes: (.*)", str(error.value)).groups()
    assert found == raw
    path.write_text(re.sub("purpose: .*", f"purpose: {quoted}", text, count=1))
    assert raw in {service.purpose for service in read_system(path).services}


# Field, what stands there, what is advised and works
NUMBERS = [
    ("port", "08090", "8090"), ("port", "0443", "443"), ("port", "0x1F9A", "8090"), ("port", "8_090", "8090"), ("port", "0o17", "15"),
    ("infra:recordTtl", "0100", "100"), ("infra:recordTtl", "yes", "30"), ("infra:budget", "on", "30"), ("infra:drainQuiet", "no", "30"),
    ("infra:drainQuiet", "1:30", "30"), ("infra:healthDeadline", "180s", "180"), ("infra:keepReleases", "0x5", "5"), ("volume", "036", "36"),
    ("volume", "3e1", "30"),
]  # fmt: skip


def read_with(tmp_path, field, raw):
    """A system or a stack, with another value for a field."""
    is_port = field == "port"
    text = (ROOT / ("files/systems/watchme.yaml" if is_port else "Pulumi.prod.yaml")).read_text()
    changed = re.sub(rf"\b{field}: .*", f"{field}: {raw}", text, count=1)
    if field not in text:
        changed = f"{text.rstrip()}\n  {field}: {raw}\n"
    (tmp_path / ("watchme.yaml" if is_port else "Pulumi.prod.yaml")).write_text(changed)
    return read_system(tmp_path / "watchme.yaml") if is_port else read_stack(tmp_path, "prod")


@pytest.mark.parametrize(("field", "raw", "number"), NUMBERS)
def test_number_in_another_notation_is_refused_with_working_advice(tmp_path, field, raw, number):
    with pytest.raises(CatalogueError) as error:
        read_with(tmp_path, field, raw)
    said = re.search(rf"{field}: found (\S+?)(, which YAML reads as .*)?; write (.*)", str(error.value))
    assert said and said[1] == raw, str(error.value)
    assert re.findall(r"\d+", said[3]) == [number]
    read_with(tmp_path, field, number)


@pytest.mark.parametrize(
    ("field", "raw", "line"),
    [
        ("swap", "2048", "swap: found 2048; a size: a whole number above 0 and k, m or g, such as 512m"),
        ("swap", "~", "swap: found nothing; a size: a whole number above 0"),
        ("infra:statusCidrs", "[10]", "infra:statusCidrs.0: found 10; a network of IPv4 such as 198.51.100.7/32"),
        ("infra:statusCidrs", "[~]", "infra:statusCidrs.0: found nothing; a network of IPv4"),
        ("infra:acmeDirectory", "null", "found nothing; an address such as https://acme.example.com/directory"),
    ],
)
def test_quotes_are_advised_only_where_they_help(tmp_path, field, raw, line):
    with pytest.raises(CatalogueError) as error:
        read_with(tmp_path, field, raw)
    assert line in str(error.value)


@pytest.mark.parametrize("raw", ["no", "0700", "null"])
def test_a_service_without_a_name_is_called_by_its_number(tmp_path, raw):
    path = tmp_path / "watchme.yaml"
    path.write_text(
        (ROOT / "files/systems/watchme.yaml").read_text().replace("- name: ast-api\n", f"- name: {raw}\n", 1)
    )
    with pytest.raises(CatalogueError, match="service number 1: name: found"):
        read_system(path)


@pytest.mark.parametrize(("field", "raw"), [("purpose", "on"), ("mode", "0700"), ("mode", "0644")])
def test_fields_of_native_services_are_quoted(tmp_path, field, raw):
    """Its kind, `unit`, is the name of one of its fields as well."""
    text = (ROOT / "files/systems/vocoder.yaml").read_text()
    old = re.search(rf"\b{field}: .*", text)
    assert old
    path = tmp_path / "vocoder.yaml"
    path.write_text(text.replace(old[0], f"{field}: {raw}", 1))
    with pytest.raises(CatalogueError) as error:
        read_system(path)
    assert f'{field}: found {raw}; write it in quotes: "{raw}"' in str(error.value), str(error.value)


@pytest.mark.parametrize("raw", READINGS)
def test_fields_of_a_stack_file_are_quoted(tmp_path, raw):
    path = tmp_path / "Pulumi.prod.yaml"
    path.write_text(f"config:\n  aws:region: ap-northeast-1\n  infra:amiParameter: {raw}\n")
    with pytest.raises(CatalogueError) as error:
        read_stack(tmp_path, "prod")
    assert f'Pulumi.prod.yaml: infra:amiParameter: found {raw}; write it in quotes: "{raw}"' in str(error.value)


def test_field_of_a_variant_is_quoted_at_its_place(tmp_path):
    path = tmp_path / "whisper.yaml"
    text = (ROOT / "files/systems/whisper.yaml").read_text()
    assert 'WHISPER_CUBLAS: "1"' in text
    path.write_text(text.replace('WHISPER_CUBLAS: "1"', "WHISPER_CUBLAS: 1.10"))
    with pytest.raises(CatalogueError) as error:
        read_system(path, "gpu")
    assert 'environment.WHISPER_CUBLAS: found 1.10; write it in quotes: "1.10"' in str(error.value)


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("'no'", "found 'no'; write true or false, without quotes"),
        ("1", "found 1; write true or false, without quotes"),
        ("", "found nothing; write true or false"),
    ],
)
def test_invalid_boolean_is_reported(tmp_path, raw, line):
    path = tmp_path / "Pulumi.prod.yaml"
    path.write_text(
        f"config:\n  infra:hosts:\n    a: {{kind: ssh, systems: [], ipv6: {raw or '~'}, address: 127.0.0.1}}\n"
    )
    with pytest.raises(CatalogueError) as error:
        read_stack(tmp_path, "prod")
    assert f"infra:hosts.a.ipv6: {line}" in str(error.value)


def test_misspelt_field_is_not_also_reported_as_missing(tmp_path):
    path = tmp_path / "watchme.yaml"
    path.write_text((ROOT / "files/systems/watchme.yaml").read_text().replace("limit: 2g", "limmit: 2g"))
    with pytest.raises(CatalogueError) as error:
        read_system(path)
    assert "did you mean 'limit'" in str(error.value) and len(error.value.problems) == 1


def test_every_bad_field_is_reported_at_once(tmp_path):
    data = yaml.safe_load(yaml.safe_dump(WATCHME))
    data["services"][0]["prot"] = 1
    data["services"][1]["port"] = "x"
    path = tmp_path / "watchme.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(CatalogueError) as error:
        read_system(path)
    assert len(error.value.problems) == 2


BAD_STACK = {
    "unknown key": ({"infra:adminCidr": []}, "infra:adminCidr: unknown field 'adminCidr'; did you mean 'adminCidrs'"),
    "no networks": ({"infra:adminCidrs": []}, "infra:adminCidrs: found []"),
    "no network": ({"infra:adminCidrs": ["home"]}, "infra:adminCidrs.0: found 'home'"),
    "a date as region": (
        {"aws:region": date(2026, 1, 1)},
        "aws:region: found 2026-01-01; the name of an AWS region, such as",
    ),
    "bad region": ({"aws:region": "tokyo"}, "aws:region: found 'tokyo'"),
    "unknown host field": (
        {"infra:hosts": {"a": {"systems": [], "disk": 3}}},
        "infra:hosts.a.disk: unknown field 'disk'",
    ),
    "bad timeout": ({"infra:readyTimeout": "soon"}, "infra:readyTimeout: found 'soon'"),
    "no key of ours": ({"infra:region": "eu-west-1"}, "infra:region: is not a key; set aws:region"),
    "bad account": ({"infra:accountId": "12"}, "infra:accountId: found '12'"),
}


@pytest.mark.parametrize(("values", "line"), BAD_STACK.values(), ids=BAD_STACK)
def test_bad_stack(values, line):
    with pytest.raises(CatalogueError) as error:
        stack(lambda config: config.update(values))
    assert f"Pulumi.prod.yaml: {line}" in str(error.value)


def test_missing_key_is_named():
    with pytest.raises(CatalogueError) as error:
        stack(lambda config: config.pop("infra:adminCidrs"))
    assert "infra:adminCidrs: field 'adminCidrs' is missing" in str(error.value)


def test_unknown_stack_names_the_known_ones():
    with pytest.raises(CatalogueError) as error:
        read_stack(ROOT, "staging")
    assert "there is no stack 'staging'; stacks: dev, lab, prod" in str(error.value)


def test_a_file_that_is_not_the_projects_own_is_named_by_its_path(tmp_path):
    path = tmp_path / ".lab/Pulumi.prod.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({"config": {**PROD, "infra:zzone": "x"}}))
    with pytest.raises(CatalogueError) as error:
        read_stack(tmp_path, "prod", path)
    assert "error: .lab/Pulumi.prod.yaml: infra:zzone: unknown field" in str(error.value)


def test_encrypted_values_are_only_known_to_be_there(tmp_path):
    values = {**PROD, "infra:secrets": {"web": {"TOKEN": {"secure": "v1:abc"}}}, "infra:sshPrivateKey": {"secure": "x"}}
    path = tmp_path / "Pulumi.prod.yaml"
    path.write_text(yaml.safe_dump({"config": values}))
    made = read_stack(tmp_path, "prod")
    assert made.secrets == {"web": {"TOKEN": ENCRYPTED}} and made.sshPrivateKey == ENCRYPTED


def test_a_secret_in_plain_text_is_found_without_pulumi(tmp_path):
    values = {**PROD, "infra:secrets": {"web": {"TOKEN": "open-sesame"}}}
    (tmp_path / "Pulumi.prod.yaml").write_text(yaml.safe_dump({"config": values}))
    with pytest.raises(CatalogueError) as error:
        read_stack(tmp_path, "prod")
    assert "infra:secrets: is in plain text" in str(error.value) and "open-sesame" not in str(error.value)


@pytest.mark.parametrize("name", ["dev", "prod", "lab"])
def test_the_projects_own_stacks_load(name):
    assert len(load(ROOT, read_stack(ROOT, name)).systems["watchme"].active) == 13


def test_dev_does_not_own_prods_name():
    assert read_stack(ROOT, "dev").public_name("api.hey-watch.me") == "api-dev.hey-watch.me"


def test_the_schemas_defaults_are_the_models():
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    fields = {key.removeprefix("infra:"): entry for key, entry in schema.items()}
    assert set(fields) == set(Stack.model_fields) - {"name", "region"}
    for name, entry in fields.items():
        field = Stack.model_fields[name]
        assert ("default" in entry) is not field.is_required(), name
        # Pulumi has no default of nothing: an empty text stands for it
        default = (
            field.default.model_dump(exclude_defaults=True) if hasattr(field.default, "model_dump") else field.default
        )
        assert field.is_required() or (entry["default"] or None) == (default or None), name


def test_numbers_and_truth_are_read_as_pulumi_writes_them_back():
    made = stack(
        lambda config: config.update(
            {"infra:protected": "true", "infra:sharedRepositories": "false", "infra:budget": "250"}
        )
    )
    assert made.protected is True and made.sharedRepositories is False and made.budget == 250


def test_allowed_values_of_a_field_are_named_in_words():
    with pytest.raises(CatalogueError) as refused:
        catalogue(config=lambda config: config.update({"infra:names": {"api.hey-watch.me": "../x"}}))
    assert "found '../x'; a host name such as api.example.com" in str(refused.value)


def test_a_pair_of_ports_and_a_time_are_texts(tmp_path):
    """YAML 1.1 has them as numbers to the base of 60."""
    file = tmp_path / "x.yaml"
    file.write_text("ports: [25:25, 12:30, 25]\n")
    assert read_yaml(file, "x.yaml") == {"ports": ["25:25", "12:30", 25]}
