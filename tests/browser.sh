#!/bin/sh
# Makes sure the tests have a Chromium and an Arabic font. Prints the browser's path, or nothing when it is
# Playwright's own. CHROMIUM chooses another; $1 is the playwright command.
set -eu

# Chromium without windows does the same pages with a third less work; whole ones serve where it is not to be had.
WINDOWLESS=chromium-headless-shell
WHOLE="chromium chromium-browser google-chrome google-chrome-stable"

find_browser() {
    for name in "${CHROMIUM:-}" "$@"; do
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

if [ -z "$(find_browser $WINDOWLESS)" ]; then
    if debian_as_root; then
        install $WINDOWLESS fontconfig fonts-noto-core || [ -n "$(find_browser $WHOLE)" ]
    elif [ -z "$(find_browser $WHOLE)" ]; then
        echo "Installing Playwright's Chromium." >&2
        "$1" install --only-shell chromium >&2
    fi
fi
if ! has_arabic && debian_as_root; then
    install fontconfig fonts-noto-core || echo "No Arabic font: the tests run, their pictures lack letters." >&2
fi
find_browser $WINDOWLESS $WHOLE
