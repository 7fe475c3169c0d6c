#!/usr/bin/env bash
# Debian's Chromium for the browser tests, where it is missing and this user may install packages.
set -euo pipefail
command -v chromium >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "chromium is missing: install it (Debian: apt-get install chromium) to run the browser tests" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install --quiet --yes --no-install-recommends chromium fonts-dejavu-core; }
install || { apt-get update --quiet && install; }
