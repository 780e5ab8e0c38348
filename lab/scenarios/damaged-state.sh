#!/bin/bash
# title: damaged state files are set aside and reported, nothing else is lost with them, and the report ends with the file
# machines: uml
# clock: virtual
# timeout: 120
. "${0%/*}/../lib/lab.sh"

step 'A shares two devices with B'
host_start A exporter
host_start B importer
gadget_disk disk 16M
gadget_serial serial
for gadget in disk serial; do on A p2pusb share "$(device_path "$gadget")"; done
pair A B
wait_for 10 'B is offered the disk' offered B A "$(gadget_product disk)"
attach B A serial

step 'one share of A is cut short, and the tickets and the port are garbage'
daemon_stop A
share=$(on A grep -l "$(gadget_product disk)" -r /var/lib/p2pusb/shares)
on A truncate --size=20 "$share"
on A cp /bin/true /var/lib/p2pusb/tickets.toml
on A tee /var/lib/p2pusb/port <<<'garbage' >/dev/null
daemon_start A
for file in "$share" /var/lib/p2pusb/tickets.toml /var/lib/p2pusb/port; do
    expect_match 'p2pusb status' "Problems.*set aside as $file.damaged" "$(on A p2pusb status | tr '\n' ' ')"
    expect 'the journal says so, too' daemon_logged A "$file can't be understood"
done

step 'nothing else is lost: B has the other device again by itself, and A knows B'
wait_for 20 'B has the serial adapter' attachments_are B 1
wait_for 20 'it is attached' bus_is attached B "$(bus_objects B attachments)" Attachment State
expect_equal 'shares of A' 1 "$(bus_count A shares)"
wait_for 20 'A sees B' peer_is A B online

step 'what was lost is made anew; the report ends when the files are removed'
on A p2pusb share "$(device_path disk)"
wait_for 10 'B is offered the disk' offered B A "$(gadget_product disk)"
on A find /var/lib/p2pusb -name '*.damaged' -delete
on A p2pusb reload
expect 'no problem is left' not grep -q Problems <<<"$(on A p2pusb status)"

step 'a damaged key: the daemon runs with a new one, and says what that means'
daemon_stop A
on A truncate --size=0 /var/lib/p2pusb/identity.key
daemon_start A
expect_match 'p2pusb status' 'identity.key.damaged: .*peers have to be paired again' "$(on A p2pusb status)"
