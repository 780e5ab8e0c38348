# Starting, stopping and looking at a host's p2pusbd, and pairing.
# shellcheck shell=bash

# daemon_start NAME [PROGRAM] starts p2pusbd and waits until it says that it is ready.
daemon_start() {
    local name=$1 program=${2:-$LAB_BIN/p2pusbd} home=$LAB_HOSTS/$1
    rm -f "$home"/{pid,ready,exit-status}
    on "$name" lab-tool supervise "$home" "$program" </dev/null >>"$home/daemon.log" 2>&1 &
    wait_for 20 "p2pusbd on $name is ready" daemon_settled "$name"
    [[ -e $home/ready ]] || fail "p2pusbd on $name ended with status $(<"$home/exit-status")"
}

daemon_settled() {
    [[ -e $LAB_HOSTS/$1/ready || -e $LAB_HOSTS/$1/exit-status ]]
}

# daemon_pid NAME
daemon_pid() {
    cat "$LAB_HOSTS/$1/pid"
}

# daemon_stop NAME stops it as systemd would (SIGTERM) and expects a clean end.
daemon_stop() {
    local home=$LAB_HOSTS/$1
    kill -TERM "$(daemon_pid "$1")"
    wait_for 20 "p2pusbd on $1 ends after SIGTERM" test -e "$home/exit-status"
    expect_equal "exit status of p2pusbd on $1" 0 "$(<"$home/exit-status")"
}

# daemon_kill NAME ends it without a chance to tidy up (SIGKILL).
daemon_kill() {
    kill -KILL "$(daemon_pid "$1")"
    wait_for 5 "p2pusbd on $1 is gone" test -e "$LAB_HOSTS/$1/exit-status"
}

# Stops all that run, whatever they say; for the end of a failed scenario.
daemons_stop_all() {
    local home
    for home in "$LAB_HOSTS"/*; do
        if [[ -e $home/pid && ! -e $home/exit-status ]]; then kill -TERM "$(<"$home/pid")" 2>/dev/null || true; fi
    done
}

# daemon_log NAME prints what it has logged so far.
daemon_log() {
    cat "$LAB_HOSTS/$1/daemon.log"
}

# daemon_logged NAME REGEX: whether it has logged something; for wait_for and expect.
daemon_logged() {
    grep -qiE -- "$2" "$LAB_HOSTS/$1/daemon.log"
}

# daemon_fds NAME, daemon_threads NAME: how many files and threads it has.
daemon_fds() {
    local files=("/proc/$(daemon_pid "$1")/fd/"*)
    echo "${#files[@]}"
}
daemon_threads() {
    awk '/^Threads:/ { print $2 }' "/proc/$(daemon_pid "$1")/status"
}

# daemon_rss NAME: resident memory in kilobytes.
daemon_rss() {
    awk '/^VmRSS:/ { print $2 }' "/proc/$(daemon_pid "$1")/status"
}

# pair NAME OTHER pairs two hosts by a ticket of the first and waits until each sees the other.
pair() {
    local ticket
    ticket=$(on "$1" p2pusb invite)
    on "$2" p2pusb pair "$ticket"
    wait_for 10 "$1 sees $2 online" peer_is "$1" "$2" online
    wait_for 10 "$2 sees $1 online" peer_is "$2" "$1" online
}

# ticket_forge TICKET changes one character in the middle.
ticket_forge() {
    local ticket=$1 middle=$((${#1} / 2)) letter=a
    if [[ ${ticket:middle:1} == a ]]; then letter=b; fi
    printf '%s%s%s\n' "${ticket:0:middle}" "$letter" "${ticket:middle+1}"
}

# peer_is NAME OTHER STATE
peer_is() {
    [[ $(peer_state "$1" "$2") == "$3" ]]
}

# offered NAME OTHER PRODUCT: whether OTHER offers such a device to NAME and nobody has it.
offered() {
    local object
    object=$(remote_device "$@") && [[ $(bus_get "$1" "$object" RemoteDevice Available) == true ]]
}

# attach NAME OTHER GADGET: attaches the device of OTHER's gadget on NAME. Its bus path there is left in $attached.
attach() {
    local product
    product=$(gadget_product "$3")
    wait_for 10 "$1 is offered $product" offered "$1" "$2" "$product"
    on "$1" p2pusb attach "$product"
    # shellcheck disable=SC2034 # for the scenario
    attached=$(attached_path "$1" "$product")
}

# detach NAME GADGET
detach() {
    on "$1" p2pusb detach "$(gadget_product "$2")"
}
