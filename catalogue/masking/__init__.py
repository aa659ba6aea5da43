"""What looks like a secret: one list for what is read off a host, for previews and for the policy. A mark stands in its
place.

Standard library only, and its modules import each other by relative names: they are sent to hosts, and run there before
anything is sent back; a preview loads them beside the checkout that it looks at.
"""

from .lines import VARIABLE, Masker
from .names import MARK, OF_PREVIEW, looks_secret

__all__ = ["MARK", "OF_PREVIEW", "VARIABLE", "Masker", "looks_secret", "mask_secrets"]

mask_secrets = Masker().mask_secrets  # without a key every mark is the same
