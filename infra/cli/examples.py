"""What people type: shown under each command's help, and held against the command itself by a test."""

import re

EXAMPLES: dict[str, list[str]] = {
    "new": ["infra new ../shop --zone example.com", "infra new ../shop --compose ../old/docker-compose.yml"],
    "include": [
        "infra include shop git@github.com:OWNER/shop.git --folder deploy --version v1.4",
        "infra include shop --version v1.5",
    ],
    "upgrade": [
        "infra upgrade ../watchme-infra",
        "infra upgrade https://github.com/OWNER/watchme-infra --version v0.3.0",
    ],
    "check": ["infra check --stack prod", "infra check --live --stack prod"],
    "explain": ["infra explain hold", "infra explain infra:statusCidrs"],
    "rights": ["infra rights deploy --stack prod"],
    "render": ["infra render --stack prod --out /tmp/prod"],
    "docs": ["infra docs"],
    "init": ["infra init --stack prod"],
    "images": [
        "infra images --outdated --stack prod",
        "infra images --update docker.io/library/postgres:16 --stack prod",
    ],
    "push": [
        "infra push watchme-web:latest --from my-built-image --stack prod",
        "infra push whisper-backend:1.4 --from target/release --stack prod",
    ],
    "preview": [
        "infra preview --base origin/main",
        "infra preview --stack prod --format html --out preview.html",
    ],
    "deploy": [
        "infra deploy shop-web --stack prod",
        "infra deploy shop-web --image 2026-11-29 --stack prod",
        "infra deploy shop-web shop-worker --follow --stack prod",
    ],
    "promote": ["infra promote shop-web --from dev --to prod"],
    "up": ["infra up --stack prod --plan live-9bba4a3259-4f53cda18c-a8aaf8890b-1f3870be27"],
    "access open": ["infra access open --for 45m --stack prod"],
    "access close": ["infra access close --stack prod", "infra access close --expired --stack prod"],
    "access list": ["infra access list --stack prod"],
    "access run": ["infra access run --stack prod -- pulumi up --stack prod"],
    "unlock": ["infra unlock --stack prod"],
    "orphans": ["infra orphans --stack prod", "infra orphans --adopt --stack prod"],
    "comment": ["infra comment --pull 12 --repository owner/name previews/prod.md"],
    "status": ["infra status --stack prod", "infra status --stack prod --json"],
    "dashboard": ["infra dashboard --stack prod", "infra dashboard --all --out /tmp/dashboard.html"],
    "logs": [
        "infra logs ast-api --stack prod -n 100",
        "infra logs shop-web shop-worker nginx --stack prod --follow",
        "infra logs shop-web --since 2h --grep 'error|timeout' --stack prod",
    ],
    "recover-quorum": ["infra recover-quorum --stack prod"],
    "reboot": ["infra reboot watchme --stack prod", "infra reboot --rolling --stack prod"],
    "restart": ["infra restart shop-web --stack prod"],
    "exec": [
        "infra exec shop-web --stack prod -- python manage.py createsuperuser",
        "infra exec shop-db --stack prod -- psql -U shop -c 'select count(*) from orders'",
    ],
    "shell": ["infra shell shop-web --stack prod", "infra shell --stack prod --host web"],
    "port-forward": [
        "infra port-forward shop-db:5432 --stack prod",
        "infra port-forward shop-admin --local 8080 --stack prod",
    ],
    "open": ["infra open shop.example.com --stack prod", "infra open shop-web --stack prod"],
    "boot-times": ["infra boot-times --stack prod --host home"],
    "drift": [
        "infra drift --stack prod",
        "infra drift --restore --stack prod --host watchme",
        "infra drift --adopt --stack prod",
        "infra drift --adopt /opt/whisper/config.toml --write --stack prod",
        "infra drift --cloud --stack prod",
    ],
    "releases": ["infra releases --stack prod --host watchme"],
    "rollback": [
        "infra rollback --stack prod",
        "infra rollback 1a2b3c --stack prod --host watchme",
        "infra rollback shop-web --stack prod",
    ],
    "restore": ["infra restore services --stack prod --list", "infra restore services --stack prod"],
    "backup list": ["infra backup list --stack prod"],
    "backup now": ["infra backup now reader-db --stack prod"],
    "backup verify": ["infra backup verify --stack prod"],
    "backup restore": [
        "infra backup restore reader-db --stack prod",
        "infra backup restore reader-db --snapshot 98960210 --to /srv/look --stack prod",
    ],
    "backup drill": ["infra backup drill reader-db --stack prod"],
    "host replace": [
        "infra host replace watchme --stack prod",
        "infra host replace watchme --type t4g.xlarge --check --stack prod",
        "infra host replace watchme --back --stack prod",
        "infra host replace watchme --give-up --stack prod",
    ],
    "host retire": ["infra host retire watchme --stack prod"],
    "secret list": ["infra secret list --stack prod", "infra secret list --stack prod --hosts"],
    "secret show-names": ["infra secret show-names --stack prod"],
    "secret diff": ["infra secret diff --stack prod", "infra secret diff --stack prod --host watchme"],
    "secret rotate": [
        "infra secret rotate shop-web.API_KEY --stack prod",
        "infra secret rotate shop-web.SESSION_KEY --generate --stack prod",
        "infra secret rotate shop-web.API_KEY --again --stack prod",
    ],
    "secret push github": [
        "infra secret push github --repo OWNER/shop --checkout ../shop --stack prod",
        "infra secret push github shop-web.API_KEY --repo OWNER/shop --stack prod",
        "infra secret push github PULUMI_CONFIG_PASSPHRASE --repo OWNER/infra --write --stack prod",
    ],
    "secret set": [
        "infra secret set shop-web.API_KEY --stack prod",
        "infra secret set shop-db.POSTGRES_PASSWORD --generate --stack prod",
    ],
    "secret unset": ["infra secret unset shop-web.API_KEY --stack prod"],
    "secret import": [
        "infra secret import .env shop-web --stack prod",
        "infra secret import - shop-web --stack prod",
    ],
    "maintenance": [
        "infra maintenance on shop.example.com --for 30m --stack prod",
        "infra maintenance off --stack prod",
    ],
    "dns show": ["infra dns show --stack prod", "infra dns show --wait 10m --stack prod"],
    "dns restore": ["infra dns restore --stack prod"],
    "dns leave": ["infra dns leave --stack prod"],
    "dns adopt": ["infra dns adopt api.example.com --stack prod"],
    "prune": ["infra prune --stack prod"],
    "scan-regions": [
        "infra scan-regions ../app --from ap-southeast-2 --to ap-northeast-1",
        "infra scan-regions ../app --from ap-southeast-2 --to ap-northeast-1 --write",
    ],
    "move": ["infra move ap-northeast-1 --check --stack prod", "infra move ap-northeast-1 --keep --stack prod"],
    "adopt aws": ["infra adopt aws --region ap-southeast-2 --identity ~/watchme-key.pem --stack prod"],
    "adopt host": [
        "infra adopt host 203.0.113.10 --identity ~/watchme-key.pem --stack prod",
        "infra adopt host desktop.example --user ice --system desktop --write files/systems/desktop.yaml --stack prod",
    ],
    "adopt workflow": [
        "infra adopt workflow ../shop/.github/workflows/deploy.yml --infra OWNER/infra --stack prod",
        "infra adopt workflow ../shop/.github/workflows/deploy.yml --service shop-web --image shop-web --stack prod",
    ],
}


def epilog(command: str) -> str:
    """Each example is a paragraph of its own."""
    return "\n\n".join(f"$ {example}" for example in EXAMPLES.get(command, []))


def first_sentence(text: str) -> str:
    """Of a command's help, on one line."""
    return re.split(r"(?<=\.) ", " ".join(text.split()))[0]
