"""A product with a database and a worker, both backed up, for other tests."""

from tests.catalogue.changes import both, configured, setting
from tests.catalogue.containers import with_database

PASSWORD = "a-password-of-backups"
with_backups = both(
    with_database,
    setting("db", backup={"dump": "pg_dumpall -U $POSTGRES_USER", "load": "psql -U $POSTGRES_USER"}),
    setting("worker", backup={"keep": {"daily": 3}, "schedule": "daily", "drill": "weekly"}),
    setting("web", memory={"limit": "90m"}, release={"command": "migrate"}),
)
CONFIG = configured(
    backupRegion="ap-northeast-3", adminCidrs=["198.18.0.1/32"],
    secrets={"db": {"POSTGRES_PASSWORD": "x"}, "backup": {"RESTIC_PASSWORD": PASSWORD}},
)  # fmt: skip
