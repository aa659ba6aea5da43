"""Stand-in for the `aws` plugin: the resource types that the program uses, over boto3."""
