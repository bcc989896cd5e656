"""The configuration that comes with the program, and units for systemd. Installed as policy.conf;
no code here."""
