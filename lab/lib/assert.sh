# What a scenario expects, and waiting for it.
# shellcheck shell=bash

# fail TEXT... ends the scenario.
fail() {
    printf '\n== NOT AS EXPECTED: %s\n' "$*" >&2
    return 1
}

# wait_for SECONDS DESCRIPTION COMMAND... waits until the command succeeds; on a slower machine it may take longer. The
# only place that polls.
wait_for() {
    local description=$2 limit=$(($1 * LAB_SLOWER))
    local until=$((${EPOCHREALTIME/./} + limit * 1000000))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ((${EPOCHREALTIME/./} > until)); then
            fail "not within $limit s: $description"
            return 1
        fi
        sleep "$LAB_LOOK"
    done
}

# not COMMAND... succeeds when the command fails; for wait_for.
not() {
    ! "$@"
}

# expect DESCRIPTION COMMAND... is a check that must hold now.
expect() {
    local description=$1
    shift
    "$@" || fail "$description"
}

# expect_equal WHAT EXPECTED ACTUAL
expect_equal() {
    [[ $2 == "$3" ]] || fail "$1: expected '$2', got '$3'"
}

# expect_match WHAT REGEX TEXT, without regard to case
expect_match() {
    grep -qiE -- "$2" <<<"$3" || fail "$1: '$2' is not in: $3"
}

# expect_failure STATUS REGEX COMMAND... : the command ends with that status (several: "1|6") and says something that
# matches, without regard to case. What it said is left in $failure.
expect_failure() {
    local statuses=$1 regex=$2 status=0
    shift 2
    failure=$("$@" 2>&1) || status=$?
    printf '   %s\n   -> %s (status %s)\n' "$*" "${failure//$'\n'/$'\n'      }" "$status"
    [[ $status =~ ^($statuses)$ ]] || fail "'$*': expected status $statuses, got $status"
    expect_match "what '$*' said" "$regex" "$failure"
}
