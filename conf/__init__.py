"""The configuration that comes with the program. Installed as policy.conf; no code here."""
