# Steps with a heading and the time they took. Sourced by tests/run and tests/kubernetes.
# shellcheck shell=bash

script=tests/$(basename -- "$0")
steps_passed=0
step_now=""

clock() { printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60)); }

# die MESSAGE: stops the run with one message that says what to do.
die() {
    printf '%s: %s\n' "$script" "$1" >&2
    exit 1
}

# step TITLE COMMAND…: announces a step, runs it, and says how long it took.
step() {
    local began=$SECONDS
    step_now=$1
    shift
    printf '\n=== %s  [%s]\n' "$step_now" "$(clock)"
    "$@"
    printf -- '--- %s: passed in %d s\n' "$step_now" $((SECONDS - began))
    steps_passed=$((steps_passed + 1))
    step_now=""
}

# Tells a failed run from a finished one, whatever ended it.
conclude() {
    local status=$?
    if ((status != 0)); then
        printf '\n%s: FAILED%s after %s, exit %d\n' \
            "$script" "${step_now:+ in \"$step_now\"}" "$(clock)" "$status" >&2
    fi
}
