#!/bin/sh
# Makes sure the tests have a Chromium and an Arabic font. Prints the browser's path, or nothing when it is
# Playwright's own. CHROMIUM chooses another; $1 is the playwright command.
set -eu

find_browser() {
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
        if [ -n "$name" ] && command -v "$name"; then return; fi
    done
}

has_arabic() {
    command -v fc-list >/dev/null && [ -n "$(fc-list :lang=ar)" ]
}

debian_as_root() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

install() {
    echo "Installing $*." >&2
    log=$(mktemp)
    if { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 install "$@"; } >"$log" 2>&1 </dev/null; then
        rm "$log"
    else
        tail -n 5 "$log" >&2
        return 1
    fi
}

if [ -z "$(find_browser)" ]; then
    if debian_as_root; then
        install chromium fontconfig fonts-noto-core
    else
        echo "Installing Playwright's Chromium." >&2
        "$1" install chromium >&2
    fi
fi
if ! has_arabic && debian_as_root; then
    install fontconfig fonts-noto-core || echo "No Arabic font: the tests run, their pictures lack letters." >&2
fi
find_browser
