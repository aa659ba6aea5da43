"""Names that people give to secrets, and names that only look like one."""

# From documentation of the programs that read them, and from the lists of gitleaks and detect-secrets
SECRET = [
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "GH_PAT", "STRIPE_SK", "STRIPE_SECRET_KEY", "OPENAI_API_KEY",
    "APIKEY", "PGPASSWORD", "POSTGRES_PASSWORD", "MYSQL_ROOT_PASSWORD", "MYSQL_PWD", "MYSQL_ROOT_PASS", "DB_PASS", "SMTP_PASS",
    "REDISPASS", "PASS", "dbPass", "userPassHash", "mailPasscode", "GPG_PASSPHRASE", "SLACK_WEBHOOK_URL", "SENTRY_DSN",
    "JWT_SECRET", "JWT_SIGNING_KEY", "SIGNING_KEY", "ENCRYPTION_KEY", "ENCRYPTIONKEY", "PRIVATE_KEY", "PRIVKEY", "MASTER_KEY",
    "SECRET_KEY_BASE", "CLIENT_SECRET", "BEARER", "OTP_SEED", "HMAC", "AUTHKEY", "DB_KEY", "SERVICE_KEY", "ACCOUNT_KEY",
    "DB_CREDS", "GOOGLE_APPLICATION_CREDENTIALS", "ACCESS_KEY", "secretToken", "HTTP_PASSWD", "SMTP_PW",
]  # fmt: skip
PLAIN = [
    "COLOUR", "KEYBOARD", "MONKEY", "BYPASS_CACHE", "COMPASS_URL", "PASSIVE_MODE", "PASSENGERS", "passthrough", "AUTHOR",
    "PIN_COUNT", "SEEDS", "TASK", "SKIP", "JWT_LIFETIME", "PATH", "MODE", "PORT", "HOST", "SPAWN",
]  # fmt: skip
