"""Threads that close, and what tells them not to wait. It knows no queues."""
