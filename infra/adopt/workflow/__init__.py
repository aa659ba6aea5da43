"""`infra adopt workflow`: a product's own deploy workflow, and what takes its place."""
