"""Task types a media team would want: one file each, plain Prefect flows."""
