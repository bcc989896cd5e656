"""`bus1 migrate`: a native service in the place of a D-Bus service that runs, and a report."""
