"""Stand-in for the `aws` plugin: the resource types that the program uses, over botocore."""

import gc

# Thousands of types and no cycles: looking for these would be a sixth of what the plugin's start takes
gc.disable()
