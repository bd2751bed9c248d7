#!/usr/bin/env bash
# Install the commands that the tests compare with, where apt can; say what is missing elsewhere.
set -euo pipefail
missing=()
for command in "$@"; do
  command -v "$command" >/dev/null 2>&1 || missing+=("$command")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if command -v apt-get >/dev/null 2>&1; then
  sudo=""
  [ "$(id -u)" -eq 0 ] || sudo="sudo -n"
  if { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null; then
    exit 0
  fi
fi
echo "The tests need these commands: ${missing[*]}"
echo "Install them (Debian, Ubuntu: apt-get install ${missing[*]}; macOS: brew install ${missing[*]};"
echo "Windows: winget or choco) and run this again."
exit 1
