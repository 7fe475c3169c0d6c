"""One background duty a file."""
