"""`bus1 policy`: what the files of a bus allow. One file a command; app.py has their words."""
