# A relay of one's own on one of the hosts: lab-relay, with a certificate that no other machine knows.
# shellcheck shell=bash

# relay_certify NAME gives the relay of a host its certificate.
relay_certify() {
    lab-relay certify "$LAB_HOSTS/$1" "$(host_address "$1")"
}

# relay_start NAME starts the relay of a host.
relay_start() {
    local name=$1 home=$LAB_HOSTS/$1
    rm -f "$home"/{pid,ready,exit-status}
    on "$name" lab-tool supervise "$home" lab-relay serve "$home" "$(host_address "$name")" </dev/null >>"$home/daemon.log" 2>&1 &
    wait_for 20 "the relay on $name is ready" daemon_settled "$name"
    [[ -e $home/ready ]] || fail "the relay on $name ended with status $(<"$home/exit-status")"
}

# relay_use NAME RELAY [untrusted]: the settings by which a host uses the relay of host RELAY, for its daemon to start
# with. Where it says "untrusted" the relay's authority is left out.
relay_use() {
    local name=$1 home=$LAB_HOSTS/$2 trusted=
    if [[ ${3:-} != untrusted ]]; then trusted='relay-ca = "/etc/p2pusb/relay-ca.pem"'; fi
    on "$name" cp "$home/ca.pem" /etc/p2pusb/relay-ca.pem
    on "$name" tee /etc/p2pusb/p2pusb.toml >/dev/null <<<"[network]
relay = \"https://$(host_address "$2")/\"
$trusted"
}
