"""`infra drift --cloud`: what AWS has that is not as the stack's last update left it."""
