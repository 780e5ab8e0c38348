# fish completion of p2pusb: the program answers itself, with the names of what there is now.
COMPLETE=fish /usr/bin/p2pusb | source
