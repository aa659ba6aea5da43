"""How an update is asked for less than the whole stack: variables of its environment, and a note in the checkout. The
programs that Pulumi starts for each host read them, and nothing else of the configuration."""

# Of an update that does what was approved: repository and suffix → digest, as JSON
APPROVED_IMAGES = "INFRA_APPROVED_IMAGES"
# Of an update for some services alone: their host, their names, and what is deployed then, as JSON
DEPLOYING = "INFRA_DEPLOYING"
OF_ONE_UPDATE = {APPROVED_IMAGES, DEPLOYING}
# How the reason of such an update begins, where another one ended after it was worked out
STALE = "nothing was touched: the stack was updated meanwhile"
# While it is not known how one ended: the command that it was
UNSETTLED = ".infra/deploying-{stack}"
