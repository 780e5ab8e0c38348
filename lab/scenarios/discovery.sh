#!/bin/bash
# title: machines on one switch find each other where they want to be found, and meet again at other addresses
# machines: uml
# clock: virtual
# timeout: 240
. "${0%/*}/../lib/lab.sh"

# settings NAME MDNS
settings() {
    on "$1" tee /etc/p2pusb/p2pusb.toml <<<"[network]
mdns = \"$2\"" >/dev/null
}

# finds NAME OTHER: whether NAME lists OTHER among the machines that it has found; for wait_for.
finds() {
    on "$1" p2pusb peers --discovered 2>/dev/null | grep -q "^$(host_name "$2") .*$(bus_get "$2" "$BUS_ROOT" Manager EndpointId)"
}

step 'A announces itself, B looks, C does neither'
for host in A B C; do
    host_up "$host"
    # Multicast goes where the default route leads.
    net_gateway "$host"
done
settings A announce
settings C off
for host in A B C; do daemon_start "$host"; done
sleep 15 # of the guest's clock: B asks every ten seconds
wait_for 2 'B finds A' finds B A
expect_match 'p2pusb peers --discovered on A' 'no machine' "$(on A p2pusb peers --discovered)"
expect_match 'p2pusb peers --discovered on C' 'no machine' "$(on C p2pusb peers --discovered)"

step 'once they are paired, B knows A from the list of peers'
pair A B
expect 'B does not list A any longer' not finds B A

step 'A and B are started anew, and neither is where it was'
daemon_stop A
daemon_stop B
# Without a port of the last run the daemon takes another one.
for host in A B; do on "$host" rm /var/lib/p2pusb/port; done
net_readdress A 101
net_readdress B 102
for host in A B; do
    net_gateway "$host"
    daemon_start "$host"
done
sleep 15 # of the guest's clock
wait_for 2 'B finds A at its new address' peer_is B A online
wait_for 5 'A is told where B is' peer_is A B online

step 'A is gone'
settings A look
daemon_stop A
daemon_start A
on B p2pusb forget host-a
sleep 90 # of the guest's clock: for so long it may be in somebody's memory
expect_match 'p2pusb peers --discovered on B' 'no machine' "$(on B p2pusb peers --discovered)"
