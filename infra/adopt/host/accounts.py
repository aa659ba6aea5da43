"""The accounts that services run as, and the directories that these work and write in. Pure."""

from pydantic import BaseModel, ValidationError

from catalogue.models import Account, Directory
from catalogue.shapes import EntryFields, ServiceFields
from catalogue.systemd.directives import Section, text, texts
from infra.adopt.host import documents, native
from infra.adopt.host.documents import Entries, Facts
from infra.adopt.host.remarks import Remark, unfit, unsaid


def _main_sections(services: list[ServiceFields]) -> list[Section]:
    wholes: list[dict[str, Section]] = [service.get("job") or service.get("directives") or {} for service in services]
    return [whole.get("Service", {}) for whole in wholes]


def _account_of(fields: ServiceFields) -> set[str]:
    users = {text(value) for main in _main_sections([fields]) for value in texts(main.get("User", []))}
    return users | ({fields["account"]} if fields.get("account") else set())


def has_account(fields: ServiceFields, facts: Facts, remarks: list[Remark]) -> bool:
    """Can the accounts that it runs as be written in the catalogue."""
    accounts = {account["name"]: account for account in facts["accounts"]}
    wrong = [name for name in sorted(_account_of(fields)) if name in accounts and not _is_fit(Account, accounts[name])]
    for name in wrong:
        what = f"runs as account {name!r} of home {accounts[name]['home']!r}, which the catalogue cannot name"
        remarks.append(unsaid(fields["name"], f"{what}: the service is left out"))
    return not wrong


def _is_fit(model: type[BaseModel], entry: documents.Account) -> bool:
    try:
        model.model_validate({"name": entry["name"], "home": entry["home"]})
    except ValidationError:
        return False
    return True


def accounts_of(facts: Facts, services: list[ServiceFields], remarks: list[Remark]) -> list[EntryFields]:
    names = [text(value) for main in _main_sections(services) for value in texts(main.get("User", []))]
    names += [service["account"] for service in services if service.get("account")]
    accounts_by_name = {account["name"]: account for account in facts["accounts"]}
    accounts: list[EntryFields] = []
    for name in dict.fromkeys(name for name in names if name != "root"):
        account = accounts_by_name.get(name)
        if account is None:
            remarks.append(unfit(f"account {name}", "units run as it, but it does not exist"))
        else:
            groups = [group for group in account["groups"] if _is_fit(Account, {**account, "name": group})]
            if other_groups := sorted({*account["groups"]} - {*groups}):
                remarks.append(
                    unfit(f"account {name}", f"is in {', '.join(other_groups)}: the catalogue cannot name that group")
                )
            entry = {key: account[key] for key in ("name", "home", "login", "lingering")}
            accounts.append({**entry, "groups": groups})
    return accounts


def directories_of(
    services: list[ServiceFields], entries: Entries, accounts: list[EntryFields], facts: Facts
) -> list[EntryFields]:
    """Where the services' own accounts work and write."""
    names = {account["name"] for account in accounts}
    groups = {account["name"]: account["group"] for account in facts["accounts"]}
    directories: list[EntryFields] = []
    for path in dict.fromkeys(path for main in _main_sections(services) for path in native.directories(main)):
        entry = entries.get(path, {"kind": "none"})
        owner, group = entry.get("owner", ""), entry.get("group")
        if entry["kind"] == "directory" and owner in names:
            other_group = group if group != groups[owner] else None
            item = {"path": path, "owner": owner, "group": other_group, "mode": entry.get("mode")}
            directories.append({key: value for key, value in item.items() if value is not None})
    return [Directory.model_validate(item).model_dump(exclude_defaults=True) for item in directories]
