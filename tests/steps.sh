# Sourced by tests/run and .ci/run: steps that say how long they took, and the packages that a step needs.
# It runs nothing by itself.
# shellcheck shell=bash

failed_steps=()
step_times=()

# step NAME COMMAND...: runs the command, says how long it took, and remembers whether it failed.
# The command runs as a condition, where `set -e` is off: a function given here must return its own failures.
step() {
    local name=$1 began=$SECONDS outcome=ok
    shift
    printf '\n==> %s\n' "$name"
    if ! "$@"; then
        outcome=FAILED
        failed_steps+=("$name")
    fi
    step_times+=("$(printf '%5d s  %-6s  %s' "$((SECONDS - began))" "$outcome" "$name")")
    printf '<== %s: %s after %d s\n' "$name" "$outcome" "$((SECONDS - began))"
}

# All steps with their times.
print_step_times() {
    printf '\n'
    printf '%s\n' "${step_times[@]}"
    printf '%5d s  in all\n' "$SECONDS"
}

as_root() {
    if [[ $(id -u) -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "this needs root, and there is no sudo: $*" >&2
        return 1
    fi
}

# The package lists, once per run. Several mirrors serve them, one of which may hiccup.
apt_update() {
    [[ -z ${apt_updated:-} ]] || return 0
    as_root apt-get update -q -o Acquire::Retries=3 && export apt_updated=yes
}

# install_missing FILE=PACKAGE...: installs the Debian packages of those files that are missing. A name without a slash
# is looked for among the commands.
install_missing() {
    local pair file packages=()
    for pair in "$@"; do
        file=${pair%%=*}
        case $file in
            */*) [[ -e $file ]] || packages+=("${pair#*=}") ;;
            *) command -v "$file" >/dev/null || packages+=("${pair#*=}") ;;
        esac
    done
    [[ ${#packages[@]} -gt 0 ]] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "missing, and there is no apt-get to install it with: ${packages[*]}" >&2
        return 1
    fi
    echo "installing: ${packages[*]}"
    apt_update && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends -o Acquire::Retries=3 "${packages[@]}"
}

# What building needs: a C compiler for the cryptography, cmake for zlib-ng.
install_build_tools() {
    install_missing cc=gcc /usr/include/stdlib.h=libc6-dev make=make cmake=cmake
}

# rustup's folder is not on every PATH, for example not on that of a service or of `sudo`.
require_cargo() {
    [[ ! -d ${CARGO_HOME:-$HOME/.cargo}/bin ]] || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
    if ! command -v cargo >/dev/null; then
        echo 'there is no cargo: install Rust with rustup (https://rustup.rs)' >&2
        exit 2
    fi
}
