"""`bus1 monitor`: live traffic of any bus, for people, for programs and for pcap files."""
