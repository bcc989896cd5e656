"""What a bus allows and how much of everything: rules and limits read from files.

Knows neither the core nor the bridge; they ask it.
"""
