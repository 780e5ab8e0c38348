#!/bin/bash
# title: a relay that does not answer, or whose certificate nobody vouches for, is told and holds up nothing
# machines: uml
# clock: virtual
# program: lab-relay
. "${0%/*}/../lib/lab.sh"

url=https://10.77.0.3/
silent="WARN relay $url does not answer, and is tried again"

step 'A and B in one network; the relay at C is not there'
host_up C
relay_certify C
for name in A B; do
    role=$([[ $name == A ]] && echo exporter || echo importer)
    host_up $name "$role"
done
relay_use A C
relay_use B C untrusted
moment=$EPOCHREALTIME
daemon_start A
daemon_start B
expect 'both are ready at once' awk -v took="$(seconds_since "$moment")" 'BEGIN { exit !(took < 1) }'

step 'they are paired, and B uses a disk of A'
gadget_disk disk 4M
on A p2pusb share "$(device_path disk)"
pair A B
attach B A disk
disk_ready "$attached"
expect_equal 'what B reads' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
expect_equal 'the path' direct "$(bus_get B "$(peer_object B A)" Peer Path)"

step 'both journals say what is wrong'
for name in A B; do
    wait_for 15 "$name has noticed" daemon_logged $name "$silent"
    daemon_log $name | grep -F "$silent"
done

step 'the relay is there: A finds it by itself; B knows nobody who vouches for it, and stays away'
relay_start C
wait_for 60 'A is at its relay' daemon_logged A "relay $url is connected"
expect 'B is not' not daemon_logged B "relay $url is connected"
expect_equal 'what B reads' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
expect_equal 'warnings of A' 1 "$(daemon_log A | grep -cF "$silent")"
expect_equal 'warnings of B' 1 "$(daemon_log B | grep -cF "$silent")"

step 'settings that are wrong are told with their line, and the daemon does not start'
daemon_stop B
on B tee /etc/p2pusb/relay-ca.pem >/dev/null <<<'no certificate'
relay_ca='relay-ca = "/etc/p2pusb/relay-ca.pem"'
on B tee /etc/p2pusb/p2pusb.toml >/dev/null <<<"[network]
relay = \"$url\"
$relay_ca"
expect_failure 1 '/etc/p2pusb/p2pusb.toml, line 3: ' on B p2pusbd
expect_match 'what it said' '/etc/p2pusb/relay-ca.pem holds no certificate' "$failure"
